"""Can the forgotten images be told apart by their reconstructions?"""

import torch
from torch import Tensor

from palimpsest.metrics.distances import distance_blocks

_TIE = 1e-7
"""Squared distances this close are equal: rounding in float64 must not decide between two copies of an
image."""


def right_ranks(reconstructions: Tensor, originals: Tensor) -> Tensor:
    """The place of each right original, when all originals are sorted by their distance to the
    reconstruction.

    A tie goes against the attacker: a copy of the right image comes first, and so does anything as near.

    Args:
        reconstructions: `[n, c, h, w]`.
        originals: `[n, c, h, w]`, in the same order.

    Returns:
        `[n]` int64 from 1 (the right image is the nearest of all) to n.
    """
    ranks = []
    first = 0
    for distances in distance_blocks(reconstructions, originals):
        rows = torch.arange(len(distances), device=distances.device)
        right = distances[rows, first + rows]
        ranks.append((distances <= right[:, None] + _TIE).sum(dim=1))
        first += len(distances)
    return torch.cat(ranks)
