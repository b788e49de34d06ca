"""Approximate unlearning: climb the forgotten samples' loss, but not far, then train on what is retained."""

import math
from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
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
    parameter_distance,
)
from palimpsest.models import laid_out_for, load_parameters
from palimpsest.randomness import derive_seed
from palimpsest.registry import METHODS
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.scenarios import Request


class GradientAscent(Work):
    """Full-batch steps up the client's mean loss, within a ball around the global model (IGF, section 3.1,
    AFU).

    The model is in eval mode: batch norm's statistics stay what they were, and the mean over all samples does
    not depend on how they are cut into batches.
    """

    steps: int
    learning_rate: float
    radius: float
    batch_size: int

    def __call__(self, model: nn.Module, shard: Shard, *, seed: int) -> Outcome:
        """Climb; nothing is drawn from the seed. See `Work` for the arguments."""
        model.eval()
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        center = parameters_to_vector(parameters).detach().clone()
        total = 0.0
        for step in range(self.steps):
            loss, gradient = self._gradient(model, parameters, shard)
            if not math.isfinite(loss):
                return Outcome(math.nan, step + 1)
            total += loss
            with torch.no_grad():
                moved = parameters_to_vector(parameters) + self.learning_rate * gradient
                vector_to_parameters(project(moved, center, self.radius), parameters)
        return Outcome(total / self.steps, self.steps)

    def _gradient(
        self, model: nn.Module, parameters: list[nn.Parameter], shard: Shard
    ) -> tuple[float, Tensor]:
        total, gradient = 0.0, torch.zeros_like(parameters_to_vector(parameters))
        for batch in shard.rows.split(self.batch_size):
            logits = model(laid_out_for(model, shard.images[batch]))
            loss = F.cross_entropy(logits, shard.labels[batch], reduction="sum") / len(shard)
            pieces = torch.autograd.grad(loss, parameters)
            gradient += torch.cat([piece.flatten() for piece in pieces])
            total += loss.item()
        return total, gradient


def project(point: Tensor, center: Tensor, radius: float) -> Tensor:
    """The nearest point of the ball ||x - center||_2 <= radius.

    Args:
        point: `[d]`.
        center: `[d]`.
        radius: Positive.
    """
    offset = point - center
    distance = offset.norm()
    return point if distance <= radius else center + offset * (radius / distance)


@METHODS.register("ascent")
class Ascent(Method):
    """Projected gradient ascent on the forgotten samples, then fine-tuning on what is retained (AFU).

    Every unlearning client climbs its own forgotten samples' loss within a ball around the trained model; the
    server averages them by their number of forgotten samples (Eq. 2). The paper leaves step size, radius and
    fine-tuning open. These defaults make LeNet and ConvNet forget a class of digits and keep the others; from
    a radius of 2 on, the model is ruined.
    """

    source: ClassVar[str] = "IGF, section 3.1, AFU and Eq. 2; Halimi et al. 2022"

    steps: PositiveInt = 1
    """Steps of ascent at each unlearning client; Eq. 2 takes one."""
    learning_rate: PositiveFloat = 1.0
    """Step size of the ascent, eta_u."""
    radius: PositiveFloat = 1.0
    """How far the ascent may move the parameters (L2), zeta."""
    fine_tune_rounds: NonNegativeInt = 2
    """Rounds of training on the retained samples afterwards."""

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
        climbed = self._climb(original, request, federation, place)
        distance = parameter_distance(original.parameters, climbed.parameters, federation.network())
        facts = {"distance_before_fine_tuning": distance}
        if not self.fine_tune_rounds:
            return Unlearned(climbed.parameters, climbed.rounds, facts)
        tuned = self._fine_tune(climbed, request, federation, place)
        return Unlearned(tuned.parameters, climbed.rounds + tuned.rounds, facts)

    def _climb(self, original: Training, request: Request, federation: Federation, place: Place) -> Training:
        work = GradientAscent(
            steps=self.steps,
            learning_rate=self.learning_rate,
            radius=self.radius,
            batch_size=federation.config.batch_size,
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

    def _fine_tune(
        self, climbed: Training, request: Request, federation: Federation, place: Place
    ) -> Training:
        holders = [client for client, rows in enumerate(request.retained) if len(rows)]
        tuning = replace(federation, seed=derive_seed(federation.seed, "unlearning", "fine-tune"))
        drawn = draw_schedule(
            len(holders), federation.config.fraction, self.fine_tune_rounds, seed=tuning.seed
        )
        return tuning.run(
            "fine-tune",
            request.retained,
            Schedule(tuple(tuple(holders[place] for place in members) for members in drawn.rounds)),
            start=load_parameters(federation.network(), climbed.parameters),
            scratch=place.room("fine-tune"),
        )
