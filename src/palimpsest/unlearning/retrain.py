"""Exact unlearning: training again without the forgotten samples."""

from typing import ClassVar

from palimpsest.federation import Federation, Schedule, Training
from palimpsest.registry import METHODS
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.scenarios import Request


@METHODS.register("retrain")
class Retraining(Method):
    """Retrain from initialization on the retained samples (EFU).

    Initialization, client sampling and shuffles are those of the original training, so that the two models differ by
    the forgotten samples and not by the seed. A client without retained samples sends no parameters; the others train.
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
        return Unlearned(result.parameters, result.rounds, releases=result.releases)
