"""The auditor's view: everything that a gray-box attack receives, and the base of these attacks."""

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
    """What an attack may need to know. The report prints what an attack knew."""

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
    """Write an attack's knowledge as sentences, in alphabetical order."""
    return [f"{known[0].upper()}{known[1:]}." for known in sorted(knowledge)]


S = TypeVar("S", bound=SampleSet, default=ImageSet)


@dataclass(frozen=True)
class AuditorView(Generic[S]):
    """The gray-box auditor (IGF, threat assumption): proofs, an oracle, and auxiliary samples.

    Args:
        proofs: Gradient differences that the clients submitted, `[n, d]`.
        oracle: Computes the gradient difference of any sample.
        auxiliary: The auditor's samples and labels: images, or what else the attack takes.
        device: Where the attack computes, "cpu" or "cuda".
        memory_budget: Bytes that the attack may hold.
        scratch: Folder for data that exceeds the budget; None means the system's temporary folder.
        stochastic_oracle: Whether the oracle's answers to the same query differ, as through a random defense.
        remaining_queries: Samples, besides the auxiliary ones, for which the oracle may still be queried; None means no
            limit.
    """

    proofs: Tensor
    oracle: Oracle
    auxiliary: S
    device: str
    memory_budget: int
    scratch: Path | None = None
    stochastic_oracle: bool = False
    remaining_queries: int | None = None
    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    )

    def affords(self, samples: int) -> bool:
        """Whether the oracle may be queried for so many samples besides the auxiliary ones."""
        return self.remaining_queries is None or samples <= self.remaining_queries


@dataclass(frozen=True)
class ArchitectView(AuditorView[S]):
    """An auditor who also knows the model's architecture, but not its parameters.

    Args:
        architecture: The model on torch's meta device: layers and shapes, no values.
    """

    architecture: nn.Module = field(kw_only=True)
    knowledge: ClassVar[frozenset[Knowledge]] = AuditorView.knowledge | {Knowledge.ARCHITECTURE}


class Attack(Component, ABC):
    """Base of the auditor's attacks: a call from a view to a reconstruction."""

    knowledge: ClassVar[frozenset[Knowledge]]
    """What the attack needs to know; an audit refuses to run it against a view that lacks any of it."""

    takes: ClassVar[type[SampleSet]] = ImageSet
    """The kind of samples that it reconstructs; an audit of another kind refuses it."""

    @abstractmethod
    def __call__(self, view: AuditorView[Any], *, generator: Generator) -> "Reconstruction":
        """Reconstruct a sample from each proof.

        Args:
            view: What the auditor holds.
            generator: The attack's randomness.

        Returns:
            One sample for each proof, in the order of the proofs.
        """


@dataclass(frozen=True)
class Reconstruction(Record):
    """What an attack recovered.

    Args:
        images: One reconstruction for each proof: images `[n, channels, height, width]` in [0, 1], rows
            `[n, features]`, or tokens `[n, length]`.
        history: Named series over the attack's epochs or iterations, such as its losses.
        facts: Named facts about the attack, such as the number of principal directions.

    Raises:
        DivergenceError: A value is not finite.
    """

    images: Tensor
    history: dict[str, list[float]]
    facts: dict[str, float]

    def __post_init__(self) -> None:
        finite = self.images.isfinite().flatten(1).all(dim=1)
        if not finite.all():
            rows = finite.logical_not().nonzero().flatten()
            raise DivergenceError(
                f"{len(rows)} of {len(finite)} reconstructions hold values that are not finite; the first is number "
                f"{int(rows[0])}. Lower the attack's learning rate, or check its proof with `palimpsest doctor`."
            )
