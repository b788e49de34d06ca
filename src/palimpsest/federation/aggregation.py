"""Aggregation of client replies: the base class, FedAvg (McMahan et al. 2017) and FedProx (Li et al. 2020)."""

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
    """Callable that a round uses to aggregate replies."""

    def __call__(
        self,
        current: Parameters,
        replies: Iterable[Reply],
        state: Parameters,
        *,
        round_index: int,
        trainable: Collection[str],
    ) -> tuple[Parameters, Parameters]:
        """Compute the next global parameters.

        Args:
            current: Global parameters that the clients started from.
            replies: At least one reply, in the order of the clients. The iterable yields one reply at a time, so an
                aggregation that stores none of them needs the same memory for any number of clients.
            state: State that the previous round returned; empty in the first round.
            round_index: Index of the round, from 0.
            trainable: Names of the trainable parameters; all other entries are buffers.

        Returns:
            The next global parameters, and the state to pass to the next round.
        """
        ...


class Aggregation(Component, ABC):
    """Base class of the aggregations that a configuration can name; see `Aggregator` for the arguments."""

    @property
    def client_proximal_mu(self) -> float:
        """Weight mu of the proximal term in the clients' loss; 0 means that there is no such term."""
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
        """Compute the next global parameters; see `Aggregator` for the arguments."""


@AGGREGATIONS.register("fedavg")
class FedAvg(Aggregation):
    """Average the clients' parameters, weighted by their numbers of samples (IGF, Eq. 1)."""

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
        """Return the weighted mean and an empty state; see `Aggregator` for the arguments."""
        return weighted_mean(replies), {}


@AGGREGATIONS.register("fedprox")
class FedProx(FedAvg):
    """Average the parameters of clients whose loss has a proximal term, mu/2 ||w - w_t||^2."""

    source: ClassVar[str] = "Li et al. 2020, Algorithm 2"

    proximal_mu: Annotated[float, Field(ge=0)] = 0.01
    """Weight mu of the proximal term, which keeps a client near the global model; 0 is FedAvg."""

    @property
    def client_proximal_mu(self) -> float:
        """Weight mu of the proximal term in the clients' loss; 0 means that there is no such term."""
        return self.proximal_mu


def weighted_mean(replies: Iterable[Reply]) -> Parameters:
    """Return the mean of the replies' parameters and buffers, weighted by samples (IGF, Eq. 1).

    The sums are accumulated in float64, where they are exact for equal float32 values. The mean of clients that agree
    therefore has the same bits as each of them. Integer buffers, such as batch norm's counter, are rounded.

    Args:
        replies: At least one reply; consumed one at a time.

    Returns:
        The mean, with the replies' names and dtypes.
    """
    sums: dict[str, Tensor] = {}
    dtypes: dict[str, torch.dtype] = {}
    samples = 0
    for reply in replies:
        samples += reply.samples
        for name, value in reply.parameters.items():
            if name not in sums:
                sums[name] = torch.zeros(value.shape, dtype=torch.float64)
                dtypes[name] = value.dtype
            sums[name].add_(value, alpha=reply.samples)
    return {name: _cast(total.div_(samples), dtypes[name]) for name, total in sums.items()}


def _cast(value: Tensor, dtype: torch.dtype) -> Tensor:
    return value.to(dtype) if dtype.is_floating_point else value.round().to(dtype)
