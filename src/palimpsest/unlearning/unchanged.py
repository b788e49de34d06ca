"""Planted failure: the original model, returned as if it were unlearned."""

from typing import ClassVar

from palimpsest.federation import Federation, Schedule, Training
from palimpsest.registry import METHODS
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.scenarios import Request


@METHODS.register("unchanged")
class Unchanged(Method):
    """Return the original model and forget nothing: a positive control of the tests of forgetting.

    A test of forgetting that does not flag this method can't detect anything.
    """

    source: ClassVar[str] = "Planted failure"

    def __call__(
        self,
        original: Training,
        request: Request,
        federation: Federation,
        *,
        schedule: Schedule,
        place: Place,
    ) -> Unlearned:
        """Return a copy of the original parameters; see `Method` for the arguments."""
        return Unlearned(dict(original.parameters), [])
