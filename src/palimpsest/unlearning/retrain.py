"""Exact unlearning: train again, as if the forgotten samples had never been there."""

from typing import ClassVar

from palimpsest.federation import Federation, Schedule, Training
from palimpsest.registry import METHODS
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.scenarios import Request


@METHODS.register("retrain")
class Retraining(Method):
    """Train from the beginning on what is retained (EFU).

    Initialization, draws of clients and shuffles are the original training's, so that the two models differ
    by the forgotten samples and not by a seed. A client that has nothing left sends nothing; the others
    train.
    """

    source: ClassVar[str] = "IGF, section 3.1, EFU"

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
        result = federation.run("retrain", request.retained, schedule, scratch=place.room("retrain"))
        return Unlearned(result.parameters, result.rounds)
