"""The auditor's view, which is all that a gray-box attack receives, and the base class of these attacks."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Generic

from pydantic import NonNegativeInt
from torch import Generator, Tensor, nn
from typing_extensions import TypeVar

from palimpsest.attacks.certificates import Certificates
from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.errors import DivergenceError
from palimpsest.oracles import Oracle
from palimpsest.registry import Component
from palimpsest.storage import Record


class Knowledge(StrEnum):
    """Kinds of information that an attack may need. The report lists those that the attack had."""

    PROOFS = "one gradient difference (proof) for each forgotten sample"
    ORACLE = "the flattened gradient difference between the original and the unlearned model, for any sample"
    AUXILIARY = "auxiliary images"
    ARCHITECTURE = "the model's architecture"
    PARAMETERS = "the model's parameters before and after unlearning"
    BATCH_GRADIENTS = "the clients' gradients of whole batches"
    LABELS = "the labels of the forgotten samples"
    CANDIDATES = "candidate images that include the forgotten ones"
    PUBLIC = "public images"
    NOISE = "the clip norm and the noise scale that the clients' defenses publish"


def spelled_out(knowledge: Iterable[Knowledge]) -> list[str]:
    """Write an attack's knowledge as sentences.

    Args:
        knowledge: Kinds of information that the attack has.

    Returns:
        One sentence for each kind, in alphabetical order.
    """
    return [f"{known[0].upper()}{known[1:]}." for known in sorted(knowledge)]


S = TypeVar("S", bound=SampleSet, default=ImageSet)


@dataclass(frozen=True)
class AuditorView(Generic[S]):
    """The gray-box auditor (IGF, threat assumption): proofs, an oracle, and auxiliary samples.

    Args:
        proofs: Gradient differences that the clients submitted, `[n, d]`.
        oracle: Computes the gradient difference of any sample.
        auxiliary: The auditor's labeled samples, of the kind that the attack takes, such as images.
        device: Device of the attack's computations, "cpu" or "cuda".
        memory_budget: Memory limit for the attack's data, in bytes.
        scratch: Folder for data that exceeds the budget. If omitted, the system's temporary folder.
        stochastic_oracle: Whether the oracle's answers to the same query differ, for example due to a random defense.
        remaining_queries: Number of samples, besides the auxiliary ones, for which the oracle may still be queried. If
            omitted, the number is unlimited.
        group_sizes: Number of samples behind each proof, if the proofs are means over groups; this is public. Empty
            means that each proof belongs to one sample.
    """

    proofs: Tensor
    oracle: Oracle
    auxiliary: S
    device: str
    memory_budget: int
    scratch: Path | None = None
    stochastic_oracle: bool = False
    remaining_queries: int | None = None
    group_sizes: tuple[int, ...] = ()
    knowledge: ClassVar[frozenset[Knowledge]] = frozenset(
        {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    )

    def affords(self, samples: int) -> bool:
        """Return whether the query limit allows this number of samples besides the auxiliary ones."""
        return self.remaining_queries is None or samples <= self.remaining_queries


@dataclass(frozen=True)
class ArchitectView(AuditorView[S]):
    """The view of an auditor who also knows the model's architecture, but not its parameters.

    Args:
        architecture: The model on torch's meta device: layers and shapes, no values.
    """

    architecture: nn.Module = field(kw_only=True)
    knowledge: ClassVar[frozenset[Knowledge]] = AuditorView.knowledge | {Knowledge.ARCHITECTURE}


@dataclass(frozen=True)
class ModelsView(ArchitectView[S]):
    """The view of an auditor who holds both models, such as the public models of a federation.

    Args:
        original: The model before unlearning, in evaluation mode.
        unlearned: The model after unlearning.
    """

    original: nn.Module = field(kw_only=True)
    unlearned: nn.Module = field(kw_only=True)
    knowledge: ClassVar[frozenset[Knowledge]] = ArchitectView.knowledge | {Knowledge.PARAMETERS}


class Controlled(Component):
    """Base class of components that attack, with the size of their positive control."""

    control_size: NonNegativeInt = 64
    """Auxiliary samples that are kept aside from the attack, for the positive control. At most a tenth of the auxiliary
    samples are; 0 runs no control, and the attack gets all samples."""


class Attack(Controlled, ABC):
    """Base class of the auditor's attacks. An attack is called with a view and returns a reconstruction."""

    knowledge: ClassVar[frozenset[Knowledge]]
    """Knowledge that the attack needs; an audit rejects the attack if the view lacks any of it."""

    takes: ClassVar[type[SampleSet]] = ImageSet
    """Kind of samples that the attack reconstructs; an audit of another kind rejects the attack."""

    takes_groups: ClassVar[bool] = False
    """Whether the attack also works on proofs that are means over groups of samples (`AuditorView.group_sizes`). An
    audit of such proofs rejects other attacks."""

    @abstractmethod
    def __call__(self, view: AuditorView[Any], *, generator: Generator) -> "Reconstruction":
        """Reconstruct a sample from each proof.

        Args:
            view: The auditor's view.
            generator: Source of the attack's randomness.

        Returns:
            One sample for each proof, in the order of the proofs.
        """


class TrainedAttack(Attack):
    """Base class of the attacks that learn first, without the proofs, and then reconstruct samples from any proofs.

    A run stores what an attack has learned, so that the proofs with and without defenses need no second training.
    """

    state: ClassVar[type[Record]]
    """Kind of record that `learn` returns."""

    control_group_size: ClassVar[int] = 200
    """Largest number of samples of a control group, which `invert` reconstructs in addition to those of the proofs."""

    @abstractmethod
    def learn(self, view: AuditorView[Any], *, generator: Generator) -> Any:
        """Learn from the oracle and the auxiliary samples, without using the proofs.

        Args:
            view: The auditor's view.
            generator: Source of the attack's randomness.

        Returns:
            A record of the kind `state`.
        """

    @abstractmethod
    def invert(self, learned: Any, proofs: Tensor, *, device: str) -> "Reconstruction":
        """Reconstruct a sample from each proof.

        Args:
            learned: The record that `learn` returned.
            proofs: Gradient differences, `[n, d]`.
            device: "cpu" or "cuda".

        Returns:
            One sample for each proof, in the order of the proofs.
        """

    def __call__(self, view: AuditorView[Any], *, generator: Generator) -> "Reconstruction":
        """Learn, then reconstruct a sample from each proof; see `Attack`."""
        return self.invert(self.learn(view, generator=generator), view.proofs, device=view.device)


@dataclass(frozen=True)
class Reconstruction(Record):
    """Samples that an attack reconstructed.

    Args:
        images: One reconstruction for each proof: images `[n, channels, height, width]` in [0, 1], rows
            `[n, features]`, or tokens `[n, length]`.
        history: Named series over the attack's epochs or iterations, such as its losses.
        facts: Named numbers about the attack, such as the number of principal directions.
        certificates: How far each reconstruction can be trusted; empty if the attack certifies nothing, otherwise
            exactly one.

    Raises:
        DivergenceError: A reconstruction contains a value that is not finite.
    """

    images: Tensor
    history: dict[str, list[float]]
    facts: dict[str, float]
    certificates: tuple[Certificates, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        """Check that all reconstructions are finite."""
        finite = self.images.isfinite().flatten(1).all(dim=1)
        if not finite.all():
            rows = finite.logical_not().nonzero().flatten()
            raise DivergenceError(
                f"{len(rows)} of {len(finite)} reconstructions contain NaN or infinity; the first is number "
                f"{int(rows[0])}. Lower the attack's learning rate, or check the proofs with `palimpsest doctor`."
            )
