"""Recovery of a batch from the columns of its disaggregation matrix, and its check against the forward pass."""

from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.disaggregation.candidates import Candidates
from palimpsest.attacks.disaggregation.low_rank import LowRank

# Smallest part of a direction outside the span of the others, relative to its length.
_INDEPENDENT = 1e-3
# A unit whose output is this close to zero, relative to the sample's typical output, may be active or not.
_BORDERLINE = 1e-5
_MOST_SWAPS = 64


@dataclass(frozen=True)
class Recovered:
    """Samples of a batch.

    Args:
        inputs: Inputs of the layer, `[k, n]`, without the constant 1 of the bias.
        gradients: Gradient of each sample's share of the loss with respect to the layer's output, `[k, m]`.
        agreement: Share of the units for which the sample's gradient is zero exactly if its output is negative, in
            [0, 1], `[k]` (lambda in SPEAR, section 4).
    """

    inputs: Tensor
    gradients: Tensor
    agreement: Tensor

    @property
    def consistent(self) -> Tensor:
        """Whether each sample agrees with the forward pass in all units, `[k]` bool."""
        return self.agreement == 1


def recover(factors: LowRank, candidates: Candidates, weights: Tensor) -> Recovered | None:
    """Select as many candidates as the gradient has rank, and compute the samples.

    The sparsest independent candidates are selected first. Then single ones are exchanged as long as this improves
    the agreement with the forward pass (SPEAR, section 4).

    Args:
        factors: Factors of the gradient, with the bias as the last input.
        candidates: Candidates, those with the most zeros first.
        weights: The layer's weights, with the bias as the last column, `[m, n]`.

    Returns:
        The samples, or None if there are too few independent candidates.
    """
    chosen = independent(factors, candidates)
    if len(chosen) < factors.rank:
        return None
    best = _assemble(factors, candidates, chosen, weights)
    others = [row for row in range(len(candidates)) if row not in chosen]
    for other in others[:_MOST_SWAPS]:
        if bool(best.consistent.all()):
            break
        worst = int(best.agreement.argmin())
        swapped = [*chosen[:worst], other, *chosen[worst + 1 :]]
        trial = _assemble(factors, candidates, swapped, weights)
        if float(trial.agreement.sum()) > float(best.agreement.sum()):
            best, chosen = trial, swapped
    return best


def independent(factors: LowRank, candidates: Candidates) -> list[int]:
    """Choose candidates in order, each outside the span of those before it.

    Args:
        factors: Factors of the gradient.
        candidates: Candidates, those with the most zeros first.

    Returns:
        Their numbers, at most as many as the gradient has rank.
    """
    columns = candidates.directions @ torch.linalg.qr(factors.left).R.T
    columns = columns / columns.norm(dim=1, keepdim=True)
    basis = columns.new_zeros(0, factors.rank)
    chosen: list[int] = []
    for row, column in enumerate(columns):
        rest = column
        # Twice is enough for orthogonality to working precision.
        for _ in range(2):
            rest = rest - (basis @ rest) @ basis
        if float(rest.norm()) > _INDEPENDENT:
            basis = torch.cat([basis, rest[None] / rest.norm()])
            chosen.append(row)
        if len(chosen) == factors.rank:
            break
    return chosen


def _assemble(factors: LowRank, candidates: Candidates, chosen: list[int], weights: Tensor) -> Recovered:
    """Compute the samples from the columns of the disaggregation matrix; the bias gives their scale."""
    matrix = candidates.directions[chosen].T
    inverse, _ = torch.linalg.inv_ex(matrix)
    rows = inverse @ factors.right
    # The input of the bias is 1 for each sample.
    scale = rows[:, -1:]
    scale = torch.where(scale == 0, torch.finfo(rows.dtype).tiny, scale)
    inputs = rows / scale
    gradients = ((factors.left * factors.noise[:, None]) @ matrix).T * scale
    outputs = inputs @ weights.T
    zeros = candidates.zeros[chosen]
    borderline = outputs.abs() <= _BORDERLINE * outputs.square().mean(dim=1, keepdim=True).sqrt()
    agrees = (zeros == (outputs <= 0)) | borderline
    return Recovered(inputs[:, :-1], gradients, agrees.double().mean(dim=1))
