"""Assignment of a batch's reconstructions to its originals, because a batch gradient has no order."""

import torch
from torch import Tensor

from palimpsest.metrics.distances import distance_blocks


def assign(reconstructions: Tensor, originals: Tensor) -> Tensor:
    """Pair the reconstructions of one batch with its originals so that the total MSE is smallest.

    The pairing depends on the originals, so use it only to score attacks on whole batches. It favors the attack:
    even noise gets its best pairing.

    Args:
        reconstructions: `[n, c, h, w]` in any order.
        originals: `[n, c, h, w]`.

    Returns:
        `[n]` int64 indices; `reconstructions[assign(...)]` is in the order of the originals.
    """
    from scipy.optimize import linear_sum_assignment

    costs = torch.cat(list(distance_blocks(originals, reconstructions)))
    _, columns = linear_sum_assignment(costs.cpu().numpy())
    return torch.from_numpy(columns)
