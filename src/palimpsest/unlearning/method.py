"""What an unlearning method is: how a trained federation is made to forget."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from palimpsest.federation import Federation, Round, Schedule, Training
from palimpsest.registry import Component
from palimpsest.storage import Parameters
from palimpsest.unlearning.scenarios import Request


@dataclass(frozen=True)
class Unlearned:
    """What a method made.

    Args:
        parameters: The unlearned global model.
        rounds: The rounds that it took.
        facts: What else is worth telling, by name.
    """

    parameters: Parameters
    rounds: list[Round]
    facts: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Place:
    """Where a method may keep things, and find what training kept.

    Args:
        scratch: A folder for finished rounds, so that a killed run goes on; none keeps nothing.
        history: The folder of the clients' updates that training kept, if it did.
    """

    scratch: Path | None = None
    history: Path | None = None

    def room(self, name: str) -> Path | None:
        """A folder of its own for one part of the method."""
        return self.scratch / name if self.scratch else None


class Method(Component, ABC):
    """Base of the unlearning methods."""

    needs_history: ClassVar[bool] = False
    """Whether training must keep every client's updates (`train(..., history=folder)`)."""

    @abstractmethod
    def __call__(
        self,
        original: Training,
        request: Request,
        federation: Federation,
        *,
        schedule: Schedule,
        place: Place,
    ) -> Unlearned:
        """Make the federation forget.

        Args:
            original: The trained model, and who took part in which round.
            request: What is forgotten, and what stays.
            federation: The data, the model, the settings and the seed.
            schedule: Who trains when, for a method that trains again: the original draws, or fresh ones.
            place: Where things are kept.
        """
