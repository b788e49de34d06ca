"""Aggregation with any Flower strategy, in Palimpsest's round loop."""

import importlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from palimpsest.errors import ConfigurationError, FederationError
from palimpsest.federation.aggregation import Aggregation
from palimpsest.federation.client import Reply
from palimpsest.federation.flower_records import pack_parameters, require_flower, unpack_parameters
from palimpsest.registry import AGGREGATIONS
from palimpsest.storage import Parameters

_ALL_NODES = {"fraction_train": 1.0, "min_train_nodes": 1, "min_available_nodes": 1}


@AGGREGATIONS.register("flower")
class FlowerStrategy(Aggregation):
    """Aggregate with a Flower strategy; Palimpsest still samples the clients and excludes unusable replies.

    A strategy keeps its state in attributes. Palimpsest stores those that are arrays and numbers after each round, so
    that a stopped run resumes with the same bits. A strategy with any other state is refused.
    """

    source: ClassVar[str] = "flwr.serverapp.strategy"

    strategy: str = "FedAvg"
    """Class of flwr.serverapp.strategy, such as FedAvgM, or any class with its interface as `package.module:Class`."""
    strategy_arguments: dict[str, Any] = Field(default_factory=dict)
    """Arguments of its constructor, such as {server_momentum: 0.9}."""

    def __call__(
        self,
        current: Parameters,
        replies: Iterable[Reply],
        state: Parameters,
        *,
        round_index: int,
        trainable: Collection[str],
    ) -> tuple[Parameters, Parameters]:
        """Aggregate with the strategy; see `Aggregator` for the arguments.

        The strategy gets the buffers together with the parameters, as in Flower's apps.

        Raises:
            MissingDependencyError: Flower is not installed.
            ConfigurationError: The strategy is unknown or does not accept the arguments.
            FederationError: The strategy returned no model, or its state can't be stored.
        """
        require_flower()
        from flwr.app import ArrayRecord, ConfigRecord

        strategy = self._build()
        _restore_state(strategy, state)
        collected = list(replies)
        arrays: ArrayRecord = pack_parameters(current)
        nodes = _Nodes([reply.client + 1 for reply in collected])
        with _task_identity():
            strategy.configure_train(round_index + 1, arrays, ConfigRecord(), nodes)
            result, _ = strategy.aggregate_train(
                round_index + 1, [_reply_message(reply) for reply in collected]
            )
        if result is None:
            raise FederationError(
                f"The strategy {self.strategy!r} returned no model in round {round_index}. Give it more replies, or "
                "choose another strategy."
            )
        dtypes = {name: value.dtype for name, value in current.items()}
        parameters = {name: value.to(dtypes[name]) for name, value in unpack_parameters(result).items()}
        return parameters, _stored_state(strategy, self.strategy, self._build())

    def _build(self) -> Any:
        module, _, name = self.strategy.rpartition(":")
        try:
            strategy = getattr(importlib.import_module(module or "flwr.serverapp.strategy"), name)
            return strategy(**{**_ALL_NODES, **self.strategy_arguments})
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"The Flower strategy {self.strategy!r} can't be created ({error}). Name a class of "
                "flwr.serverapp.strategy or package.module:Class, and arguments that it accepts."
            ) from error


class _Nodes:
    """The part of Flower's grid that a strategy uses: the list of nodes."""

    def __init__(self, nodes: Sequence[int]) -> None:
        self._nodes = nodes

    def get_node_ids(self) -> Sequence[int]:
        return self._nodes


@contextmanager
def _task_identity() -> Iterator[None]:
    """Give the aggregation a task identity unless it has one; Flower creates messages only within a task."""
    from flwr.supercore.task_identity import TaskIdentity

    names = ("_task_id", "_run_id", "_node_id")
    before = {name: getattr(TaskIdentity, name) for name in names}
    try:
        for name in names:
            setattr(TaskIdentity, name, 1 if before[name] is None else before[name])
        yield
    finally:
        for name in names:
            setattr(TaskIdentity, name, before[name])


def _reply_message(reply: Reply) -> Any:
    from flwr.app import Message, MessageType, MetricRecord, RecordDict

    request = Message(content=RecordDict(), message_type=MessageType.TRAIN, dst_node_id=reply.client + 1)
    content = RecordDict(
        {
            "arrays": pack_parameters(reply.parameters),
            "metrics": MetricRecord({"num-examples": reply.samples, "train_loss": reply.loss}),
        }
    )
    return Message(content=content, reply_to=request)


def _stored_state(strategy: Any, name: str, fresh: Any) -> Parameters:
    """Convert the strategy's changed attributes to tensors, named `attribute|kind|key`."""
    from flwr.app import ArrayRecord

    state: Parameters = {}
    for attribute, value in vars(strategy).items():
        if isinstance(value, ArrayRecord):
            state |= {f"{attribute}|record|{key}": array for key, array in unpack_parameters(value).items()}
        elif isinstance(value, dict) and all(
            isinstance(item, np.ndarray | np.generic) for item in value.values()
        ):
            state |= {
                f"{attribute}|dict|{key}": torch.from_numpy(np.array(item)) for key, item in value.items()
            }
        elif isinstance(value, list) and value and all(isinstance(item, np.ndarray) for item in value):
            state |= {
                f"{attribute}|list|{index:06d}": torch.from_numpy(item.copy())
                for index, item in enumerate(value)
            }
        elif isinstance(value, float) and value != getattr(fresh, attribute):
            state[f"{attribute}|float|"] = torch.tensor(value, dtype=torch.float64)
        elif value != getattr(fresh, attribute) and not callable(value):
            raise FederationError(
                f"The Flower strategy {name!r} keeps {attribute!r}, a {type(value).__name__}, between rounds, "
                "which a resumed run can't restore. Choose a strategy whose state is arrays and numbers."
            )
    return state


def _restore_state(strategy: Any, state: Parameters) -> None:
    grouped: dict[tuple[str, str], Parameters] = {}
    for name, tensor in state.items():
        attribute, kind, key = name.split("|", 2)
        grouped.setdefault((attribute, kind), {})[key] = tensor
    for (attribute, kind), tensors in grouped.items():
        if kind == "record":
            value: Any = pack_parameters(tensors)
        elif kind == "dict":
            value = {key: tensor.numpy().copy() for key, tensor in tensors.items()}
        elif kind == "list":
            value = [tensors[key].numpy().copy() for key in sorted(tensors)]
        else:
            value = tensors[""].item()
        setattr(strategy, attribute, value)
