"""Descriptions of how a defended proof depends on chance, from which bounds on any attack follow."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

NO_BOUND = "no bound: the proof is a fixed function of the sample"
"""Reason that is reported for defenses without randomness."""


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
"""Description of how the output of a defense depends on chance."""


def clip_to(radius: float) -> Callable[[Tensor], Tensor]:
    """Return a function that scales longer rows down to a norm.

    Args:
        radius: Largest norm, positive.
    """

    def clip(proofs: Tensor) -> Tensor:
        norms = torch.linalg.vector_norm(proofs, dim=-1, keepdim=True)
        return proofs * (radius / norms.clamp_min(torch.finfo(proofs.dtype).tiny)).clamp_max(1.0)

    return clip
