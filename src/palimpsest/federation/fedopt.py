"""Adaptive server optimizers: Adam, Yogi and Adagrad with the clients' mean update as the gradient."""

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
    """Base class of the adaptive aggregations: `w += eta m / (sqrt(v) + tau)`.

    `m` is the momentum of the clients' mean update, `v` its second moment. Buffers, such as batch norm's statistics,
    are averaged, because an adaptive step could make a variance negative.
    """

    source: ClassVar[str] = "Reddi et al. 2021, Algorithm 2; defaults and bias correction as in Flower"

    server_learning_rate: PositiveFloat = 0.1
    """Step size of the server, eta."""
    tau: PositiveFloat = 1e-3
    """Constant added to the root of the second moment; the larger, the less adaptive."""

    @abstractmethod
    def first_moment(self, moment: Tensor, update: Tensor) -> Tensor:
        """Return the next `m`.

        Args:
            moment: Current `m` of one tensor; zero in the first round.
            update: The clients' mean update of that tensor.
        """

    @abstractmethod
    def second_moment(self, moment: Tensor, update: Tensor) -> Tensor:
        """Return the next `v`.

        Args:
            moment: Current `v` of one tensor; zero in the first round.
            update: The clients' mean update of that tensor.
        """

    def step_size(self, round_index: int) -> float:
        """Return the server's step size in a round, counted from 0."""
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
        """Step along the clients' mean update; see `Aggregator` for the arguments.

        The state holds the moments of each tensor as `m/<name>` and `v/<name>`.
        """
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
        """Return the moving average of updates."""
        return self.beta_1 * moment + (1 - self.beta_1) * update

    def second_moment(self, moment: Tensor, update: Tensor) -> Tensor:
        """Return the moving average of squared updates."""
        return self.beta_2 * moment + (1 - self.beta_2) * update.square()

    def step_size(self, round_index: int) -> float:
        """Return the step size with bias correction, alpha_t of Kingma and Ba.

        As in Flower, which counts rounds from 1 and adds one more, the exponent of the first round is 2.
        """
        power = round_index + 2
        return self.server_learning_rate * math.sqrt(1 - self.beta_2**power) / (1 - self.beta_1**power)


@AGGREGATIONS.register("fedyogi")
class FedYogi(FedOpt):
    """Yogi on the server: the second moment moves by a fixed share of the squared update, up or down."""

    server_learning_rate: PositiveFloat = 0.01
    """Step size of the server, eta."""
    beta_1: Momentum = 0.9
    """Decay of the first moment."""
    beta_2: Momentum = 0.99
    """Decay of the second moment."""

    def first_moment(self, moment: Tensor, update: Tensor) -> Tensor:
        """Return the moving average of updates."""
        return self.beta_1 * moment + (1 - self.beta_1) * update

    def second_moment(self, moment: Tensor, update: Tensor) -> Tensor:
        """Return `v` moved toward the squared update by a fixed share of that square."""
        square = update.square()
        return moment - (1 - self.beta_2) * square * (moment - square).sign()


@AGGREGATIONS.register("fedadagrad")
class FedAdagrad(FedOpt):
    """Adagrad on the server: no momentum, and a running sum of squared updates."""

    def first_moment(self, moment: Tensor, update: Tensor) -> Tensor:
        """Return the update itself."""
        return update

    def second_moment(self, moment: Tensor, update: Tensor) -> Tensor:
        """Return the sum of squared updates."""
        return moment + update.square()
