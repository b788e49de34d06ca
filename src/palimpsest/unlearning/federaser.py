"""Calibrated retraining: old updates' lengths, new updates' directions."""

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from palimpsest.errors import UnlearningError
from palimpsest.federation import Aggregation, Federation, History, Reply, Schedule, Training, weighted_mean
from palimpsest.registry import METHODS
from palimpsest.storage import Parameters
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.scenarios import Request


@METHODS.register("federaser")
class FedEraser(Method):
    """Replay every `interval`-th round with short training on what is retained, and give each tensor's new
    mean update the length that the same clients' stored updates had.

    The paper takes the first round's stored updates over as they are. Here that round is calibrated like the
    others: at sample and class level the stored updates hold the forgotten samples, and so only their lengths
    are used.
    """

    source: ClassVar[str] = "Liu et al. 2021, FedEraser, Algorithm 1"
    needs_history: ClassVar[bool] = True

    interval: PositiveInt = 2
    """Replay one round of so many; 1 replays all."""
    calibration: Annotated[float, Field(gt=0, le=1)] = 0.5
    """The share of the local epochs that a calibrating client trains, rounded up."""

    def __call__(
        self,
        original: Training,
        request: Request,
        federation: Federation,
        *,
        schedule: Schedule,
        place: Place,
    ) -> Unlearned:
        """Replay; the schedule is the stored rounds', whatever is given. See `Method` for the arguments."""
        if place.history is None:
            raise UnlearningError(
                "FedEraser needs the clients' updates, and none were kept: train with a history folder first."
            )
        indices = tuple(range(0, len(original.rounds), self.interval))
        local = federation.local_training()
        epochs = math.ceil(self.calibration * local.epochs)
        result = federation.run(
            "calibrate",
            request.retained,
            Schedule(tuple(original.rounds[index].used for index in indices)),
            work=local.model_copy(update={"epochs": epochs}),
            aggregation=Calibration(federation.aggregation, History(place.history), indices),
            scratch=place.room("calibrate"),
        )
        return Unlearned(result.parameters, result.rounds)


@dataclass(frozen=True)
class Calibration:
    """An aggregation that gives the clients' mean update its old lengths before the server takes it.

    Args:
        server: What the federation does with replies.
        history: The clients' stored updates.
        rounds: Which stored round each round replays.
    """

    server: Aggregation
    history: History
    rounds: tuple[int, ...]

    def __call__(
        self,
        current: Parameters,
        replies: Iterable[Reply],
        state: Parameters,
        *,
        round_index: int,
        trainable: Collection[str],
    ) -> tuple[Parameters, Parameters]:
        """Hand the server one reply, the calibrated mean; see `Aggregator` for the arguments."""
        answered: list[int] = []

        def noted() -> Iterator[Reply]:
            for reply in replies:
                answered.append(reply.client)
                yield reply

        mean = weighted_mean(noted())
        old = self.history.mean_update(self.rounds[round_index], answered)
        for name in trainable:
            mean[name] = current[name] + calibrated(mean[name] - current[name], old[name])
        only = Reply(client=-1, samples=1, parameters=mean, loss=0.0)
        return self.server(current, [only], state, round_index=round_index, trainable=trainable)


def calibrated(new: Tensor, old: Tensor) -> Tensor:
    """The new update's direction with the old one's length; zero where the new one is zero.

    Args:
        new: One tensor of the calibrating clients' mean update.
        old: The same tensor of their stored mean update.
    """
    length = torch.linalg.vector_norm(new)
    return new * (torch.linalg.vector_norm(old) / length) if length > 0 else torch.zeros_like(new)
