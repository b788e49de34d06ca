"""Adaptive server optimizers: the clients' mean update is a gradient for Adam, Yogi or Adagrad."""

import math
from abc import abstractmethod
from collections.abc import Collection, Iterable
from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from palimpsest.federation.aggregation import Aggregation, weighted_mean
from palimpsest.federation.client import Reply
from palimpsest.registry import AGGREGATIONS
from palimpsest.storage import Parameters

Momentum = Annotated[float, Field(ge=0, lt=1)]


class FedOpt(Aggregation):
    """Base of the three: `w += eta m / (sqrt(v) + tau)`, with `m` the momentum of the clients' mean update.

    Buffers, such as batch norm's statistics, are averaged: an adaptive step could make a variance negative.
    """

    source: ClassVar[str] = "Reddi et al. 2021, Algorithm 2; defaults and bias correction as in Flower"

    server_learning_rate: PositiveFloat = 0.1
    """The server's step size, eta."""
    tau: PositiveFloat = 1e-3
    """Added to the root of the second moment: the larger, the less adaptive."""

    @abstractmethod
    def first_moment(self, moment: Tensor, update: Tensor) -> Tensor:
        """The next `m`."""

    @abstractmethod
    def second_moment(self, moment: Tensor, update: Tensor) -> Tensor:
        """The next `v`."""

    def step_size(self, round_index: int) -> float:
        """The server's step size in a round."""
        return self.server_learning_rate

    def __call__(
        self,
        current: Parameters,
        replies: Iterable[Reply],
        state: Parameters,
        *,
        round_index: int,
        trainable: Collection[str],
    ) -> tuple[Parameters, Parameters]:
        """Step along the clients' mean update; the state holds the moments as `m/...` and `v/...`."""
        result = weighted_mean(replies)
        eta = self.step_size(round_index)
        moments: Parameters = {}
        for name in trainable:
            update = result[name] - current[name]
            zero = torch.zeros_like(update)
            first = self.first_moment(state.get(f"m/{name}", zero), update)
            second = self.second_moment(state.get(f"v/{name}", zero), update)
            result[name] = current[name] + eta * first / (second.sqrt() + self.tau)
            moments |= {f"m/{name}": first, f"v/{name}": second}
        return result, moments


@AGGREGATIONS.register("fedadam")
class FedAdam(FedOpt):
    """Adam on the server, with bias correction."""

    beta_1: Momentum = 0.9
    """Decay of the first moment."""
    beta_2: Momentum = 0.99
    """Decay of the second moment."""

    def first_moment(self, moment: Tensor, update: Tensor) -> Tensor:
        """Moving average of updates."""
        return self.beta_1 * moment + (1 - self.beta_1) * update

    def second_moment(self, moment: Tensor, update: Tensor) -> Tensor:
        """Moving average of squared updates."""
        return self.beta_2 * moment + (1 - self.beta_2) * update.square()

    def step_size(self, round_index: int) -> float:
        """Kingma and Ba's alpha_t; Flower counts rounds from 1 and adds one more."""
        power = round_index + 2
        return self.server_learning_rate * math.sqrt(1 - self.beta_2**power) / (1 - self.beta_1**power)


@AGGREGATIONS.register("fedyogi")
class FedYogi(FedOpt):
    """Yogi on the server: the second moment moves by a fixed share of the squared update, up or down."""

    server_learning_rate: PositiveFloat = 0.01
    """The server's step size, eta."""
    beta_1: Momentum = 0.9
    """Decay of the first moment."""
    beta_2: Momentum = 0.99
    """Decay of the second moment."""

    def first_moment(self, moment: Tensor, update: Tensor) -> Tensor:
        """Moving average of updates."""
        return self.beta_1 * moment + (1 - self.beta_1) * update

    def second_moment(self, moment: Tensor, update: Tensor) -> Tensor:
        """Yogi's additive change."""
        square = update.square()
        return moment - (1 - self.beta_2) * square * (moment - square).sign()


@AGGREGATIONS.register("fedadagrad")
class FedAdagrad(FedOpt):
    """Adagrad on the server: no momentum, and squared updates that only add up."""

    def first_moment(self, moment: Tensor, update: Tensor) -> Tensor:
        """The update itself."""
        return update

    def second_moment(self, moment: Tensor, update: Tensor) -> Tensor:
        """The sum of squared updates."""
        return moment + update.square()
