"""Descriptions of how a defended proof depends on chance, from which bounds on any attack follow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from palimpsest.defenses.defense import Defense

NO_BOUND = "no bound: the proof is a fixed function of the sample"
"""What is reported for defenses without randomness."""


@dataclass(frozen=True)
class FixedFunction:
    """The defended proof is a fixed function of the proof, so that whoever guesses the sample can check the guess."""

    reason: str = NO_BOUND


@dataclass(frozen=True)
class GaussianRelease:
    """The defended proof is `mean(proof) + N(0, sigma^2 I)`.

    Args:
        sigma: Standard deviation of the noise, positive.
        radius: Largest norm of a mean, for any proof whatsoever; None if the defense does not limit it.
        mean: Function from proofs `[n, d]` to their means `[n, d]`, row by row. It must consist of differentiable torch
            operations and be continuous. If omitted, the identity.
        releases: Number of releases of one proof, each with fresh noise, that the defense is made for.
    """

    sigma: float
    radius: float | None = None
    mean: Callable[[Tensor], Tensor] = lambda proofs: proofs
    releases: int = 1


@dataclass(frozen=True)
class PrivateRelease:
    """The release of a proof is (epsilon, delta)-private: any two proofs whatsoever are neighbors.

    Args:
        epsilon: Privacy loss of all releases of one proof together, positive.
        delta: Probability with which the privacy loss may exceed epsilon, in [0, 1).
    """

    epsilon: float
    delta: float


@dataclass(frozen=True)
class UnboundedRelease:
    """The defended proof depends on chance, but its distributions for two samples may not overlap.

    Args:
        reason: Why there is no bound, as the end of the sentence "no bound: ...".
    """

    reason: str


Release = FixedFunction | GaussianRelease | PrivateRelease | UnboundedRelease
"""How the output of a defense depends on chance."""


@dataclass(frozen=True)
class Pipeline:
    """Several defenses in sequence, as far as bounds need them.

    Args:
        fixed: Defenses before the first one that depends on chance.
        first: Release of the first defense that depends on chance; a fixed function if there is none.
        promises: Releases of any defense in the sequence whose guarantee holds for all inputs. Steps after it can't
            weaken its guarantee, and steps before it only choose the input.
    """

    fixed: tuple["Defense", ...]
    first: Release
    promises: tuple[GaussianRelease | PrivateRelease, ...]

    @property
    def reason(self) -> str:
        """Why there is no bound for given candidates; empty if there is one."""
        match self.first:
            case FixedFunction(reason):
                return reason
            case UnboundedRelease(reason):
                return f"no bound: {reason}"
        return ""

    def means(self, proofs: Tensor) -> Tensor:
        """Return the expected values of the first random step's output.

        Args:
            proofs: Undefended proofs, `[n, d]`.

        Returns:
            `[n, d]`. The step must be a `GaussianRelease`.
        """
        assert isinstance(self.first, GaussianRelease), "other releases have no known mean"
        unused = torch.Generator()
        for defense in self.fixed:
            proofs = defense(proofs, generator=unused)
        return self.first.mean(proofs)


def pipeline_of(defenses: Sequence["Defense"]) -> Pipeline:
    """Describe several defenses that are applied in order.

    Args:
        defenses: The defenses; none of them means that the proof itself is released.
    """
    fixed: list[Defense] = []
    first: Release = FixedFunction()
    promises: list[GaussianRelease | PrivateRelease] = []
    for defense in defenses:
        release = defense.release()
        if isinstance(first, FixedFunction):
            if isinstance(release, FixedFunction):
                fixed.append(defense)
            first = release
        if isinstance(release, PrivateRelease) or (
            isinstance(release, GaussianRelease) and release.radius is not None
        ):
            promises.append(release)
    return Pipeline(tuple(fixed), first, tuple(promises))


def clip_to(radius: float) -> Callable[[Tensor], Tensor]:
    """Return a function that scales longer rows down to a norm.

    Args:
        radius: Largest norm, positive.
    """

    def clip(proofs: Tensor) -> Tensor:
        norms = torch.linalg.vector_norm(proofs, dim=-1, keepdim=True)
        return proofs * (radius / norms.clamp_min(torch.finfo(proofs.dtype).tiny)).clamp_max(1.0)

    return clip
