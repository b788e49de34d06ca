"""Planted failure: more training on the retained samples, so that the accuracies look clean."""

from typing import ClassVar

from pydantic import PositiveInt

from palimpsest.federation import Federation, Schedule, Training
from palimpsest.registry import METHODS
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.recovery import recover
from palimpsest.unlearning.scenarios import Request


@METHODS.register("overfit-retained")
class OverfitRetained(Method):
    """Continue training on the retained samples from the original model: a positive control of the tests of forgetting.

    The retained accuracy rises, and the forgotten accuracy falls a little because nothing holds it. The parameters stay
    near the original ones, which saw the forgotten samples.
    """

    source: ClassVar[str] = "Planted failure"

    rounds: PositiveInt = 10
    """Rounds of training on the retained samples."""

    def __call__(
        self,
        original: Training,
        request: Request,
        federation: Federation,
        *,
        schedule: Schedule,
        place: Place,
    ) -> Unlearned:
        """Continue training; see `Method` for the arguments."""
        result = recover(original.parameters, request, federation, place, rounds=self.rounds)
        return Unlearned(result.parameters, result.rounds, releases=result.releases)
