"""How the server combines what the clients send: federated averaging, with and without a proximal term."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from typing import Annotated, ClassVar, Protocol

import torch
from pydantic import Field
from torch import Tensor

from palimpsest.federation.client import Reply
from palimpsest.registry import AGGREGATIONS, Component
from palimpsest.storage import Parameters


class Aggregator(Protocol):
    """What a round needs of an aggregation."""

    def __call__(
        self,
        current: Parameters,
        replies: Iterable[Reply],
        state: Parameters,
        *,
        round_index: int,
        trainable: Collection[str],
    ) -> tuple[Parameters, Parameters]:
        """Make the next global parameters.

        Args:
            current: The global parameters that the clients started from.
            replies: At least one, in the order of the clients; they come one at a time, and an aggregation
                that keeps none of them needs the same memory for any number of clients.
            state: What the last round returned; empty at first.
            round_index: From 0.
            trainable: Names of the parameters; the other entries are buffers.

        Returns:
            The next global parameters, and the state to hand to the next round.
        """
        ...


class Aggregation(Component, ABC):
    """Base of the aggregations that a configuration names; see `Aggregator` for the arguments."""

    @property
    def local_pull(self) -> float:
        """The mu of the proximal term that clients add to their loss."""
        return 0.0

    @abstractmethod
    def __call__(
        self,
        current: Parameters,
        replies: Iterable[Reply],
        state: Parameters,
        *,
        round_index: int,
        trainable: Collection[str],
    ) -> tuple[Parameters, Parameters]:
        """Make the next global parameters; see `Aggregator`."""


@AGGREGATIONS.register("fedavg")
class FedAvg(Aggregation):
    """The mean of the clients' parameters, weighted by their samples (IGF, Eq. 1)."""

    source: ClassVar[str] = "McMahan et al. 2017, Algorithm 1; IGF, Eq. 1"

    def __call__(
        self,
        current: Parameters,
        replies: Iterable[Reply],
        state: Parameters,
        *,
        round_index: int,
        trainable: Collection[str],
    ) -> tuple[Parameters, Parameters]:
        """The weighted mean; nothing is carried to the next round."""
        return weighted_mean(replies), {}


@AGGREGATIONS.register("fedprox")
class FedProx(FedAvg):
    """Federated averaging of clients whose loss also holds mu/2 ||w - w_t||^2."""

    source: ClassVar[str] = "Li et al. 2020, Algorithm 2"

    proximal_mu: Annotated[float, Field(ge=0)] = 0.01
    """How strongly a client is held to the global model; 0 is FedAvg."""

    @property
    def local_pull(self) -> float:
        """The mu of the proximal term that clients add to their loss."""
        return self.proximal_mu


def weighted_mean(replies: Iterable[Reply]) -> Parameters:
    """The mean of parameters and buffers, weighted by samples (IGF, Eq. 1).

    Sums are kept in float64, where they are exact for equal float32 values: clients that agree are averaged
    to the same bits. Whole-number buffers, such as batch norm's counter, are rounded.

    Args:
        replies: At least one; consumed one at a time.
    """
    sums: dict[str, Tensor] = {}
    kinds: dict[str, torch.dtype] = {}
    samples = 0
    for reply in replies:
        samples += reply.samples
        for name, value in reply.parameters.items():
            if name not in sums:
                sums[name] = torch.zeros(value.shape, dtype=torch.float64)
                kinds[name] = value.dtype
            sums[name].add_(value, alpha=reply.samples)
    return {name: _cast(total.div_(samples), kinds[name]) for name, total in sums.items()}


def _cast(value: Tensor, kind: torch.dtype) -> Tensor:
    return value.to(kind) if kind.is_floating_point else value.round().to(kind)
