"""Approximate unlearning: projected gradient ascent on the forgotten samples, then fine-tuning on the retained ones."""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Generator, Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from palimpsest.federation import (
    DPSGD,
    FedAvg,
    Federation,
    Outcome,
    PrivateWork,
    Schedule,
    Shard,
    Training,
    parameter_distance,
    private_gradient,
)
from palimpsest.models import laid_out_for, load_parameters
from palimpsest.randomness import make_generator
from palimpsest.registry import METHODS
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.recovery import then_recover
from palimpsest.unlearning.scenarios import Request


class GradientAscent(PrivateWork):
    """Full-batch gradient ascent on the client's mean loss, within a ball around the global model (IGF, section 3.1).

    The model is in eval mode. Batch norm's statistics therefore do not change, and the mean over all samples does not
    depend on their division into batches.

    Args:
        steps: Number of steps.
        learning_rate: Step size.
        radius: Largest distance (L2) between the parameters and the global model's.
        batch_size: Samples in a batch; affects memory only.
        momentum: Share of the previous step that a step repeats.
        clip: Largest norm of the gradient. None means that it is not clipped.
        stop_accuracy: Stop before the first step at which the accuracy on the client's samples is at most this. None
            means that all steps are taken. With DP-SGD, all steps are taken, because the accuracy is not private.
        dp: Settings of DP-SGD. Each step then ascends a noisy mean of the clipped gradients of all samples.
    """

    steps: int
    learning_rate: float
    radius: float
    batch_size: int
    momentum: float = 0.0
    clip: float | None = None
    stop_accuracy: float | None = None

    def __call__(self, model: nn.Module, shard: Shard, *, seed: int) -> Outcome:
        """Run the ascent, which draws only the noise of DP-SGD from the seed. See `Work` for the arguments."""
        model.eval()
        generator = make_generator(seed, "dp", self.dp.stream) if self.dp else None
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        center = parameters_to_vector(parameters).detach().clone()
        velocity = torch.zeros_like(center)
        total, taken = 0.0, 0
        for _ in range(self.steps):
            loss, accuracy, gradient = self._gradient(model, parameters, shard)
            if not math.isfinite(loss):
                return Outcome(math.nan, taken + 1)
            total += loss
            if self.dp is not None and generator is not None:
                gradient = self._private(model, shard, self.dp, generator)
            elif self.stop_accuracy is not None and accuracy <= self.stop_accuracy:
                break
            velocity = self.momentum * velocity + clipped(gradient, self.clip)
            taken += 1
            with torch.no_grad():
                moved = parameters_to_vector(parameters) + self.learning_rate * velocity
                vector_to_parameters(project(moved, center, self.radius), parameters)
        return Outcome(total / max(taken, 1), taken)

    def private_steps(self, samples: int) -> tuple[float, int]:
        """Return a sampling rate of 1, because each step uses all samples, and the steps; see `PrivateWork`."""
        return 1.0, self.steps

    def _private(self, model: nn.Module, shard: Shard, dp: DPSGD, generator: Generator) -> Tensor:
        images = laid_out_for(model, shard.images[shard.rows])
        labels = shard.labels[shard.rows]
        return private_gradient(model, images, labels, dp, expected=len(shard), generator=generator)

    def _gradient(
        self, model: nn.Module, parameters: list[nn.Parameter], shard: Shard
    ) -> tuple[float, float, Tensor]:
        total, correct, gradient = 0.0, 0, torch.zeros_like(parameters_to_vector(parameters))
        for batch in shard.rows.split(self.batch_size):
            logits = model(laid_out_for(model, shard.images[batch]))
            labels = shard.labels[batch]
            loss = F.cross_entropy(logits, labels, reduction="sum") / len(shard)
            gradients = torch.autograd.grad(loss, parameters)
            gradient += torch.cat([part.flatten() for part in gradients])
            total += loss.item()
            correct += int((logits.argmax(1) == labels).sum())
        return total, correct / len(shard), gradient


def clipped(gradient: Tensor, clip: float | None) -> Tensor:
    """Scale a gradient down to a norm of at most `clip`.

    Args:
        gradient: `[d]`.
        clip: Largest norm, positive. None means that the gradient is returned as it is.

    Returns:
        `[d]`.
    """
    if clip is None:
        return gradient
    return gradient * (clip / gradient.norm().clamp(min=clip))


def project(point: Tensor, center: Tensor, radius: float) -> Tensor:
    """Project a point onto the ball ||x - center||_2 <= radius.

    Args:
        point: Point to project, `[d]`.
        center: Center of the ball, `[d]`.
        radius: Radius of the ball, positive.

    Returns:
        The nearest point of the ball, `[d]`.
    """
    offset = point - center
    distance = offset.norm()
    return point if distance <= radius else center + offset * (radius / distance)


@METHODS.register("ascent")
class Ascent(Method):
    """Projected gradient ascent on the forgotten samples, then fine-tuning on the retained ones (AFU).

    Each unlearning client ascends the loss of its forgotten samples within a ball around the trained model. The server
    averages the results, weighted by the numbers of forgotten samples (Eq. 2). The paper leaves step size, radius and
    fine-tuning open. With these defaults, LeNet and ConvNet forget a class of digits and keep the others; a radius of 2
    or more ruins the model.

    The defaults do not forget single samples or a client. Where a federation memorizes (400 CIFAR-10 images, one of
    four clients leaves), the forgotten accuracy falls from 100 % to 76.0 %, whereas exact retraining reaches 24.0 %.
    Where it does not, fine-tuning raises the forgotten accuracy with all others. More ascent ruins the model: ten steps
    of 0.2 leave 14.0 % on retained samples after four rounds of fine-tuning. `pga` stops in time.
    """

    source: ClassVar[str] = "IGF, section 3.1, AFU and Eq. 2; Halimi et al. 2022"

    steps: PositiveInt = 1
    """Ascent steps of each unlearning client; Eq. 2 takes one."""
    learning_rate: PositiveFloat = 1.0
    """Step size of the ascent, eta_u."""
    radius: PositiveFloat = 1.0
    """Largest distance (L2) by which the ascent may move the parameters, zeta."""
    fine_tune_rounds: NonNegativeInt = 2
    """Rounds of training on the retained samples after the ascent."""

    def __call__(
        self,
        original: Training,
        request: Request,
        federation: Federation,
        *,
        schedule: Schedule,
        place: Place,
    ) -> Unlearned:
        """Ascend, average and fine-tune; see `Method` for the arguments."""
        ascended = self._ascend(original, request, federation, place)
        distance = parameter_distance(original.parameters, ascended.parameters, federation.network())
        facts = {"distance_before_fine_tuning": distance}
        unlearned = Unlearned(ascended.parameters, ascended.rounds, facts, ascended.releases)
        return then_recover(unlearned, request, federation, place, rounds=self.fine_tune_rounds)

    def _ascend(self, original: Training, request: Request, federation: Federation, place: Place) -> Training:
        work = GradientAscent(
            steps=self.steps,
            learning_rate=self.learning_rate,
            radius=self.radius,
            batch_size=federation.config.batch_size,
            dp=federation.dp,
        )
        return federation.run(
            "ascend",
            request.forgotten_by_client,
            Schedule((request.clients,)),
            start=load_parameters(federation.network(), original.parameters),
            work=work,
            aggregation=FedAvg(),
            minimum_replies=len(request.clients),
            scratch=place.room("ascend"),
        )
