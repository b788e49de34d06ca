"""Completion of a disaggregation matrix whose last one or two columns are missing."""

import torch
from torch import Tensor

from palimpsest.attacks.disaggregation.low_rank import LowRank


def missing_patterns(factors: LowRank, directions: Tensor, weights: Tensor) -> Tensor:
    """List the activation patterns that the missing samples of a batch can have.

    Rows and columns of inverse matrices are orthogonal, so the known columns leave the missing samples only a space of
    as many dimensions as samples are missing, and the input 1 of the bias takes one of them. One missing sample is
    determined, and two lie on a line, whose points have no more patterns than the layer has units, plus one.

    Args:
        factors: Factors of the gradient, with the bias as the last input.
        directions: Known columns, independent, `[c, k]`.
        weights: The layer's weights, with the bias as the last column, `[m, n]`.

    Returns:
        Whether each unit is inactive, `[p, m]` bool, without patterns if no column or more than two are missing.
    """
    missing = factors.rank - len(directions)
    if missing not in (1, 2):
        return torch.zeros(0, len(factors.left), dtype=torch.bool)
    _, _, basis = torch.linalg.svd(directions, full_matrices=True)
    rows = basis[len(directions) :] @ factors.right
    constants = rows[:, -1]
    point = constants / constants.square().sum()
    outputs = weights @ (point @ rows)
    if missing == 1:
        return outputs[None] <= 0
    slopes = weights @ (torch.stack([-constants[1], constants[0]]) @ rows)
    crossings = (-outputs / slopes)[slopes != 0].sort().values
    middles = (crossings[1:] + crossings[:-1]) / 2
    ends = torch.stack([crossings[0] - 1, crossings[-1] + 1]) if len(crossings) else crossings
    positions = torch.cat([middles, ends])
    return outputs + positions[:, None] * slopes <= 0
