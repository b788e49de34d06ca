"""What an attacker holds, and nothing else: the wall between attacks and the truth."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Generic

from torch import Generator, Tensor, nn
from typing_extensions import TypeVar

from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.errors import DivergenceError
from palimpsest.oracles import Oracle
from palimpsest.registry import Component
from palimpsest.storage import Record


class Knowledge(StrEnum):
    """What an attack may need to know; the report prints what it did know."""

    PROOFS = "one gradient difference (proof) for each forgotten sample"
    ORACLE = (
        "the flattened gradient difference of any sample it likes, at the original and the unlearned model"
    )
    AUXILIARY = "auxiliary images of its own, none of them a client's"
    ARCHITECTURE = "the model's architecture"
    PARAMETERS = "the model's parameters before and after unlearning"
    BATCH_GRADIENTS = "the clients' gradients over whole batches"
    LABELS = "the labels of the forgotten samples"
    CANDIDATES = "candidate images, the forgotten ones among them"
    PUBLIC = "public images, none of them a client's"


def spelled_out(knowledge: Iterable[Knowledge]) -> list[str]:
    """What an attack knows as sentences, in the alphabet's order."""
    return [f"{known[0].upper()}{known[1:]}." for known in sorted(knowledge)]


S = TypeVar("S", bound=SampleSet, default=ImageSet)


@dataclass(frozen=True)
class AuditorView(Generic[S]):
    """The grey-box auditor (IGF, threat assumption): proofs, an oracle and auxiliary images.

    Args:
        proofs: What the clients handed in, `[n, d]`.
        oracle: Answers with the gradient difference of any sample.
        auxiliary: The auditor's own samples and labels: images, unless the attack takes something else.
        device: Where the attack computes.
        memory_budget: Bytes that it may hold.
        scratch: A folder for what does not fit the budget, or none.
        answers_vary: Whether the oracle answers the same question differently each time, as through a random defence.
        further: Samples besides the auxiliary ones that the oracle will still answer for; none for no limit.
    """

    proofs: Tensor
    oracle: Oracle
    auxiliary: S
    device: str
    memory_budget: int
    scratch: Path | None = None
    answers_vary: bool = False
    further: int | None = None
    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    )

    def affords(self, samples: int) -> bool:
        """Whether so many samples besides the auxiliary ones may be asked about."""
        return self.further is None or samples <= self.further


@dataclass(frozen=True)
class ArchitectView(AuditorView[S]):
    """The auditor who knows the model's layers besides, and not their parameters.

    Args:
        architecture: The model on torch's meta device: layers and shapes, no numbers.
    """

    architecture: nn.Module = field(kw_only=True)
    knowledge: ClassVar[frozenset[Knowledge]] = AuditorView.knowledge | {Knowledge.ARCHITECTURE}


class Attack(Component, ABC):
    """Base of the attacks: a call from what the attacker holds to what it recovered."""

    knowledge: ClassVar[frozenset[Knowledge]]
    """What it needs to know; an audit refuses to run it against a view that lacks any of it."""

    takes: ClassVar[type[SampleSet]] = ImageSet
    """What kind of samples it reconstructs; an audit of another kind refuses it."""

    @abstractmethod
    def __call__(self, view: AuditorView[Any], *, generator: Generator) -> "Reconstruction":
        """Reconstruct a sample from each proof.

        Args:
            view: What the attacker holds.
            generator: The attack's randomness.
        """


@dataclass(frozen=True)
class Reconstruction(Record):
    """What an attack recovered.

    Args:
        images: One reconstruction for each proof: `[n, channels, height, width]` in [0, 1], or what else the attack
            takes, rows `[n, features]` or tokens `[n, length]`.
        curves: Named series over the attack's epochs or iterations, such as its losses.
        facts: Named facts about the attack, such as the number of directions it kept.

    Raises:
        DivergenceError: A value is not finite: what an attack did not come to must not look like what it recovered.
    """

    images: Tensor
    curves: dict[str, list[float]]
    facts: dict[str, float]

    def __post_init__(self) -> None:
        finite = self.images.isfinite().flatten(1).all(dim=1)
        if not finite.all():
            rows = finite.logical_not().nonzero().flatten()
            raise DivergenceError(
                f"{len(rows)} of {len(finite)} reconstructions hold values that are not finite, the first is number "
                f"{int(rows[0])}: lower the attack's learning rate, or look at its proof with `palimpsest doctor`."
            )
