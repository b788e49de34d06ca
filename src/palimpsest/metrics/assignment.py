"""Which reconstruction of a batch belongs to which original: a batch's gradient has no order."""

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from palimpsest.metrics.distances import distance_blocks


def assign(reconstructions: Tensor, originals: Tensor) -> Tensor:
    """Pair the reconstructions of one batch with its originals so that the total MSE is smallest.

    This looks at the originals, so it belongs to the scoring of attacks on whole batches and to nothing else.
    It flatters the attack: even noise gets its best pairing.

    Args:
        reconstructions: `[n, c, h, w]` in any order.
        originals: `[n, c, h, w]`.

    Returns:
        `[n]` int64: `reconstructions[assign(...)]` is in the order of the originals.
    """
    costs = torch.cat(list(distance_blocks(originals, reconstructions)))
    _, columns = linear_sum_assignment(costs.cpu().numpy())
    return torch.from_numpy(columns)
