"""Identification of forgotten images by their reconstructions."""

import torch
from torch import Tensor

from palimpsest.metrics.distances import distance_blocks

_TIE = 1e-7
"""Squared distances closer than this count as equal, so that float64 rounding can't separate two copies of an image."""


def right_ranks(reconstructions: Tensor, originals: Tensor) -> Tensor:
    """Rank each correct original among all originals by their distance to its reconstruction.

    Ties count against the attacker: an image as near as the correct one, such as a copy of it, ranks before it.

    Args:
        reconstructions: `[n, c, h, w]`.
        originals: `[n, c, h, w]`, in the same order.

    Returns:
        `[n]` int64 from 1 (the correct original is the nearest) to n.
    """
    ranks = []
    first = 0
    for distances in distance_blocks(reconstructions, originals):
        rows = torch.arange(len(distances), device=distances.device)
        right = distances[rows, first + rows]
        ranks.append((distances <= right[:, None] + _TIE).sum(dim=1))
        first += len(distances)
    return torch.cat(ranks)
