"""Rapid retraining: from the beginning on what is retained, with steps scaled by the loss's curvature."""

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from palimpsest.federation import Federation, LocalTraining, Schedule, Training
from palimpsest.registry import METHODS
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.scenarios import Request


class DiagonalNewton:
    """Newton steps with the diagonal of the empirical Fisher matrix in the Hessian's place.

    A batch of B samples with gradient g gives the estimate `B g^2`, averaged over blocks of neighboring
    parameters. Its moving average is the curvature, that of g the direction, both without bias; a step is
    `-eta direction / (curvature + damping)`.

    Args:
        parameters: What is trained.
        learning_rate: Step size, eta.
        weight_decay: Times the parameters, it is added to g in the direction.
        betas: Decay of direction and of curvature.
        damping: Keeps steps finite where the loss is flat: they are at most `eta / damping` times the
            direction.
        block: How many neighboring parameters share a curvature.
        batch_size: B.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        *,
        learning_rate: float,
        weight_decay: float,
        betas: tuple[float, float],
        damping: float,
        block: int,
        batch_size: int,
    ) -> None:
        self._parameters = parameters
        self._rate, self._decay = learning_rate, weight_decay
        self._betas, self._damping = betas, damping
        self._block, self._batch_size = block, batch_size
        self._directions = [torch.zeros_like(parameter) for parameter in parameters]
        self._curvatures = [torch.zeros_like(parameter) for parameter in parameters]
        self._steps = 0

    def zero_grad(self) -> None:
        """Forget the last gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Change the parameters by the gradients that they hold."""
        self._steps += 1
        slow, slower = self._betas
        for parameter, direction, curvature in zip(
            self._parameters, self._directions, self._curvatures, strict=True
        ):
            if parameter.grad is None:
                continue
            direction.lerp_(parameter.grad + self._decay * parameter, 1 - slow)
            curvature.lerp_(block_mean(self._batch_size * parameter.grad.square(), self._block), 1 - slower)
            scale = curvature / (1 - slower**self._steps) + self._damping
            parameter.addcdiv_(direction, scale, value=-self._rate / (1 - slow**self._steps))


def block_mean(values: Tensor, block: int) -> Tensor:
    """Replace each value by the mean of its block of neighbors; the last block may be smaller.

    Args:
        values: Any shape; neighbors are those of the flattened tensor.
        block: Values in a block.
    """
    flat = values.flatten()
    whole = len(flat) // block * block
    means = flat[:whole].view(-1, block).mean(1).repeat_interleave(block)
    rest = flat[whole:]
    return torch.cat([means, rest.mean().expand_as(rest) if len(rest) else rest]).view_as(values)


class NewtonTraining(LocalTraining):
    """Local training whose optimizer is `DiagonalNewton`."""

    betas: tuple[float, float]
    damping: float
    block: int

    def optimizer(self, parameters: list[nn.Parameter]) -> DiagonalNewton:
        """A fresh optimizer: clients keep no curvature from round to round."""
        return DiagonalNewton(
            parameters,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            betas=self.betas,
            damping=self.damping,
            block=self.block,
            batch_size=self.batch_size,
        )


@METHODS.register("rapid")
class RapidRetraining(Method):
    """Retrain from the initialization on what is retained, for fewer rounds of diagonal Newton steps.

    After the paper: retraining from a new start, the diagonal of the empirical Fisher matrix for the Hessian,
    its average over blocks of 3, momentum 0.9 and 0.999. Chosen here: `B g^2` of the batch's gradient as the
    diagonal, which costs no further pass (the estimator of Sophia, Liu et al. 2023, section 2.3); `damping`,
    without which a Newton step is infinite where the loss is flat; a step size of 0.003, where the paper's
    0.001 is slow on digits; and half the rounds, where the paper trains on until the accuracy is back.
    """

    source: ClassVar[str] = "Liu et al. 2022, The Right to be Forgotten in Federated Learning"

    share_of_rounds: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The share of the original rounds that is trained again, rounded up."""
    learning_rate: PositiveFloat = 3e-3
    """Step size of the Newton steps."""
    beta_1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Decay of the direction's moving average."""
    beta_2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the curvature's moving average."""
    damping: PositiveFloat = 1e-3
    """Added to the curvature."""
    block: PositiveInt = 3
    """How many neighboring parameters share a curvature."""

    def __call__(
        self,
        original: Training,
        request: Request,
        federation: Federation,
        *,
        schedule: Schedule,
        place: Place,
    ) -> Unlearned:
        """Retrain; see `Method` for the arguments."""
        rounds = math.ceil(self.share_of_rounds * len(schedule.rounds))
        local = federation.local_training()
        work = NewtonTraining(
            epochs=local.epochs,
            batch_size=local.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=local.weight_decay,
            proximal_mu=local.proximal_mu,
            betas=(self.beta_1, self.beta_2),
            damping=self.damping,
            block=self.block,
        )
        result = federation.run(
            "rapid",
            request.retained,
            Schedule(schedule.rounds[:rounds]),
            work=work,
            scratch=place.room("rapid"),
        )
        return Unlearned(result.parameters, result.rounds)
