"""Any Flower strategy as an aggregation: its arithmetic, this package's rounds."""

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

_EVERYONE = {"fraction_train": 1.0, "min_train_nodes": 1, "min_available_nodes": 1}


@AGGREGATIONS.register("flower")
class FlowerStrategy(Aggregation):
    """What a strategy of Flower's, or of its interface, makes of the replies; sampling and faults stay this package's.

    A strategy keeps its state in attributes. Arrays and numbers among them are carried from round to round outside of
    it, so that a run that was stopped goes on with the same bits; a strategy that keeps anything else is refused.
    """

    source: ClassVar[str] = "flwr.serverapp.strategy"

    strategy: str = "FedAvg"
    """A class of flwr.serverapp.strategy, such as FedAvgM, or `package.module:Class`."""
    strategy_arguments: dict[str, Any] = Field(default_factory=dict)
    """What its constructor is given, such as {server_momentum: 0.9}."""

    def __call__(
        self,
        current: Parameters,
        replies: Iterable[Reply],
        state: Parameters,
        *,
        round_index: int,
        trainable: Collection[str],
    ) -> tuple[Parameters, Parameters]:
        """Aggregate by the strategy; see `Aggregator` for the arguments.

        Buffers are handed to it with the parameters, as Flower's apps do.

        Raises:
            MissingDependencyError: Flower is not installed.
            ConfigurationError: There is no such strategy, or it does not take the arguments.
            FederationError: The strategy returned nothing, or keeps a state that can't be carried.
        """
        require_flower()
        from flwr.app import ArrayRecord, ConfigRecord

        strategy = self._build()
        _restore(strategy, state)
        collected = list(replies)
        arrays: ArrayRecord = pack_parameters(current)
        nodes = _Nodes([reply.client + 1 for reply in collected])
        with _identity():
            strategy.configure_train(round_index + 1, arrays, ConfigRecord(), nodes)
            result, _ = strategy.aggregate_train(round_index + 1, [_message(reply) for reply in collected])
        if result is None:
            raise FederationError(
                f"The strategy {self.strategy!r} made no model in round {round_index}: give it more replies, or "
                "choose another."
            )
        kinds = {name: value.dtype for name, value in current.items()}
        made = {name: value.to(kinds[name]) for name, value in unpack_parameters(result).items()}
        return made, _state(strategy, self.strategy, self._build())

    def _build(self) -> Any:
        module, _, name = self.strategy.rpartition(":")
        try:
            kind = getattr(importlib.import_module(module or "flwr.serverapp.strategy"), name)
            return kind(**{**_EVERYONE, **self.strategy_arguments})
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"The Flower strategy {self.strategy!r} can't be made ({error}): name a class of "
                "flwr.serverapp.strategy or package.module:Class, and the arguments that it takes."
            ) from error


class _Nodes:
    """The part of Flower's grid that a strategy asks for: who there is."""

    def __init__(self, nodes: Sequence[int]) -> None:
        self._nodes = nodes

    def get_node_ids(self) -> Sequence[int]:
        return self._nodes


@contextmanager
def _identity() -> Iterator[None]:
    """Flower makes messages only within one of its tasks; outside of one, the aggregation is a task of its own."""
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


def _message(reply: Reply) -> Any:
    from flwr.app import Message, MessageType, MetricRecord, RecordDict

    asked = Message(content=RecordDict(), message_type=MessageType.TRAIN, dst_node_id=reply.client + 1)
    content = RecordDict(
        {
            "arrays": pack_parameters(reply.parameters),
            "metrics": MetricRecord({"num-examples": reply.samples, "train_loss": reply.loss}),
        }
    )
    return Message(content=content, reply_to=asked)


def _state(strategy: Any, name: str, fresh: Any) -> Parameters:
    """The strategy's attributes as tensors: `attribute|kind|key`."""
    from flwr.app import ArrayRecord

    state: Parameters = {}
    for attribute, value in vars(strategy).items():
        if isinstance(value, ArrayRecord):
            state |= {f"{attribute}|record|{key}": array for key, array in unpack_parameters(value).items()}
        elif isinstance(value, dict) and all(
            isinstance(one, np.ndarray | np.generic) for one in value.values()
        ):
            state |= {
                f"{attribute}|dict|{key}": torch.from_numpy(np.array(one)) for key, one in value.items()
            }
        elif isinstance(value, list) and value and all(isinstance(one, np.ndarray) for one in value):
            state |= {
                f"{attribute}|list|{index:06d}": torch.from_numpy(one.copy())
                for index, one in enumerate(value)
            }
        elif isinstance(value, float) and value != getattr(fresh, attribute):
            state[f"{attribute}|float|"] = torch.tensor(value, dtype=torch.float64)
        elif value != getattr(fresh, attribute) and not callable(value):
            raise FederationError(
                f"The Flower strategy {name!r} keeps {attribute!r}, a {type(value).__name__}, from round to round, "
                "which could not be taken up again after a stop: choose a strategy whose state is arrays and numbers."
            )
    return state


def _restore(strategy: Any, state: Parameters) -> None:
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
