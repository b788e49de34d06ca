"""Candidates for the columns of the disaggregation matrix: refined, checked and distinct directions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.disaggregation.kernels import CLEAR, DEVIATIONS, SAME
from palimpsest.attacks.disaggregation.low_rank import LowRank
from palimpsest.attacks.disaggregation.separability import separable_share

_ROUNDS = 2
# Share of a zero that follows from the other zeros; a zero that only itself confirms is an accident.
_LARGEST_LEVERAGE = 0.99
# Smallest share of the units that one input explains. Other patterns of 200 units and 24 samples reach 0.7.
_SEPARABLE = 0.95


@dataclass(frozen=True)
class Candidates:
    """Distinct directions q for which `left @ q` is sparse.

    Args:
        directions: Unit vectors, `[c, k]`.
        zeros: Whether the entries of `left @ q` are zero up to noise, `[c, m]` bool.
    """

    directions: Tensor
    zeros: Tensor

    @classmethod
    def none(cls, factors: LowRank) -> "Candidates":
        """Return no candidates for these factors."""
        units, rank = factors.left.shape
        return cls(factors.left.new_zeros(0, rank), torch.zeros(0, units, dtype=torch.bool))

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self.directions)

    def merge(self, others: "Candidates", factors: LowRank) -> "Candidates":
        """Add the candidates that are not yet there; those with more zeros come first.

        Args:
            others: Further candidates.
            factors: Factors of the gradient.
        """
        directions = torch.cat([self.directions, others.directions])
        zeros = torch.cat([self.zeros, others.zeros])
        order = zeros.sum(dim=1).argsort(descending=True, stable=True)
        columns = directions[order] @ factors.left.T
        columns = columns / columns.norm(dim=1, keepdim=True)
        same = (columns @ columns.T).abs() > SAME
        kept: list[int] = []
        for row in range(len(order)):
            if not bool(same[row, kept].any()):
                kept.append(row)
        return Candidates(directions[order[kept]], zeros[order[kept]])


def refine(factors: LowRank, zeros: Tensor, weights: Tensor, *, sparsity: float) -> Candidates:
    """Fit each direction to all of its zeros, find its zeros anew, and keep the directions that are certain.

    Three tests remove the others. The kernel of the rows at the zeros must have one dimension (SPEAR, section 3.3),
    also without any single row: a difference of two samples' columns vanishes where neither is active, and at one more
    unit by the choice of their ratio. Last, some input must activate just the units that are not zero.

    Args:
        factors: Factors of the gradient.
        zeros: Presumed zeros, `[p, m]` bool.
        weights: The layer's weights, with the bias as the last column, `[m, n]`.
        sparsity: Smallest share of the units that a sample does not activate.

    Returns:
        Refined candidates, at most p.
    """
    directions, certain = (
        factors.left.new_zeros(len(zeros), factors.rank),
        torch.zeros(len(zeros), dtype=torch.bool),
    )
    for _ in range(_ROUNDS if len(zeros) else 0):
        directions, zeros, certain = _fit(factors.left, zeros)
    kept = certain & (zeros.sum(dim=1) >= sparsity * zeros.shape[1])
    directions, zeros = directions[kept], zeros[kept]
    possible = separable_share(~zeros, weights @ factors.right.T) >= _SEPARABLE
    return Candidates(directions[possible], zeros[possible])


def _fit(left: Tensor, zeros: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the least-squares kernels of the rows at the zeros, the new zeros, and which kernels are certain."""
    weights = zeros.to(left)
    grams = torch.einsum("pm,mi,mj->pij", weights, left, left)
    spectrum, vectors = torch.linalg.eigh(grams)
    directions = vectors[..., 0]
    # Variance of an entry that comes from the error of the fitted direction, in units of the entry's own noise.
    scaled = torch.einsum("mi,pij->pmj", left, vectors[..., 1:])
    leverages = (scaled.square() / spectrum[:, None, 1:].clamp_min(1e-300)).sum(dim=2)
    values = directions @ left.T
    size = values.square().mean(dim=1, keepdim=True).sqrt()
    limit = DEVIATIONS * (1 + leverages).sqrt()
    found = values.abs() <= limit
    # Elsewhere the kernel has more than one dimension up to noise, so that nothing is known.
    clear = (limit <= CLEAR * size).all(dim=1)
    confirmed = (leverages * weights).amax(dim=1) < _LARGEST_LEVERAGE
    return directions, found, clear & confirmed
