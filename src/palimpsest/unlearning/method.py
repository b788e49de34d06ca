"""Base class of the unlearning methods, and the types of their arguments and results."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from palimpsest.federation import Federation, Release, Round, Schedule, Training
from palimpsest.registry import Component
from palimpsest.storage import Parameters
from palimpsest.unlearning.scenarios import Request


@dataclass(frozen=True)
class Unlearned:
    """Result of an unlearning method.

    Args:
        parameters: Unlearned global model, as a state dict.
        rounds: Rounds that unlearning took.
        facts: Further numbers for the report, by name.
        releases: Steps of DP-SGD of each client; empty if unlearning is not private.
    """

    parameters: Parameters
    rounds: list[Round]
    facts: dict[str, float] = field(default_factory=dict[str, float])
    releases: list[Release] = field(default_factory=list[Release])


@dataclass(frozen=True)
class Place:
    """Folders that a method may use.

    Args:
        scratch: Folder for finished rounds, after which a killed run resumes. If omitted, rounds are not stored.
        history: Folder of the clients' updates that training stored. If omitted, there are no stored updates.
    """

    scratch: Path | None = None
    history: Path | None = None

    def room(self, name: str) -> Path | None:
        """Return the scratch folder of one part of the method.

        Args:
            name: Name of the part.

        Returns:
            A subfolder of `scratch`, or None if there is no scratch folder.
        """
        return self.scratch / name if self.scratch else None


class Method(Component, ABC):
    """Base class of the unlearning methods."""

    needs_history: ClassVar[bool] = False
    """True if training must store every client's updates (`train(..., history=folder)`)."""

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
            original: Trained model, and record of its rounds.
            request: Samples to forget and to retain.
            federation: Data, model, settings and seed.
            schedule: Clients of each round, for a method that trains again: the original draws or new ones.
            place: Folders that the method may use.

        Returns:
            The unlearned model.
        """
