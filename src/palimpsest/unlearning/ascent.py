"""Approximate unlearning: climb the forgotten samples' loss, but not far, then train on what is retained."""

import math
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from palimpsest.federation import (
    FedAvg,
    Federation,
    Outcome,
    Schedule,
    Shard,
    Training,
    Work,
    draw_schedule,
)
from palimpsest.models import load_parameters
from palimpsest.randomness import derive_seed
from palimpsest.registry import METHODS
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.scenarios import Request


class GradientAscent(Work):
    """Full-batch steps up the client's mean loss, within a ball around the global model (IGF, section 3.1, AFU).

    The model is in eval mode: batch norm's statistics stay what they were, and the mean over all samples does not
    depend on how they are cut into batches.
    """

    steps: int
    learning_rate: float
    radius: float
    batch_size: int

    def __call__(self, model: nn.Module, shard: Shard, *, seed: int) -> Outcome:
        """Climb; nothing is drawn from the seed. See `Work` for the arguments."""
        model.eval()
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        centre = parameters_to_vector(parameters).detach().clone()
        total = 0.0
        for step in range(self.steps):
            loss, gradient = self._gradient(model, parameters, shard)
            if not math.isfinite(loss):
                return Outcome(math.nan, step + 1)
            total += loss
            with torch.no_grad():
                moved = parameters_to_vector(parameters) + self.learning_rate * gradient
                vector_to_parameters(project(moved, centre, self.radius), parameters)
        return Outcome(total / self.steps, self.steps)

    def _gradient(
        self, model: nn.Module, parameters: list[nn.Parameter], shard: Shard
    ) -> tuple[float, Tensor]:
        total, gradient = 0.0, torch.zeros_like(parameters_to_vector(parameters))
        for batch in shard.rows.split(self.batch_size):
            loss = F.cross_entropy(model(shard.images[batch]), shard.labels[batch], reduction="sum") / len(shard)
            pieces = torch.autograd.grad(loss, parameters)
            gradient += torch.cat([piece.flatten() for piece in pieces])
            total += loss.item()
        return total, gradient


def project(point: Tensor, centre: Tensor, radius: float) -> Tensor:
    """The nearest point of the ball ||x - centre||_2 <= radius.

    Args:
        point: `[d]`.
        centre: `[d]`.
        radius: Positive.
    """
    offset = point - centre
    distance = offset.norm()
    return point if distance <= radius else centre + offset * (radius / distance)


@METHODS.register("ascent")
class Ascent(Method):
    """Projected gradient ascent on the forgotten samples at the clients that hold them, averaged by their number of
    forgotten samples, then fine-tuning on what is retained (AFU).

    The paper gives no step size, radius or length of fine-tuning. The defaults here take ... 
    """

    source: ClassVar[str] = "IGF, section 3.1, AFU and Eq. 2; Halimi et al. 2022"

    steps: PositiveInt = 1
    """Steps of ascent at each unlearning client; the paper's equation is one."""
    ascent_rate: PositiveFloat = 1.0
    """Step size of the ascent, eta_u."""
    radius: PositiveFloat = 1.0
    """How far a client may move the parameters (L2), zeta."""
    fine_tune_rounds: NonNegativeInt = 2
    """Rounds of training on the retained samples afterwards."""
    fine_tune_fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    """x"""

    def __call__(
        self,
        original: Training,
        request: Request,
        federation: Federation,
        *,
        schedule: Schedule,
        place: Place,
    ) -> Unlearned:
        """Climb, average, fine-tune; see `Method` for the arguments."""
        start = load_parameters(federation.network(), original.parameters)
        work = GradientAscent(
            steps=self.steps,
            learning_rate=self.ascent_rate,
            radius=self.radius,
            batch_size=federation.config.batch_size,
        )
        climbed = federation.run(
            "ascend",
            request.forgotten_by_client,
            Schedule((request.clients,)),
            start=start,
            work=work,
            aggregation=FedAvg(),
            scratch=place.room("ascent"),
        )
        return climbed
