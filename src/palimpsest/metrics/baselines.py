"""Baseline reconstructions made from the auxiliary images alone, without any proof."""

import torch
from torch import Tensor

from palimpsest.metrics.distances import distance_blocks


def mean_image(auxiliary: Tensor, count: int) -> Tensor:
    """Return the mean auxiliary image as the reconstruction of every sample, the best constant answer by MSE.

    Args:
        auxiliary: `[m, c, h, w]` in [0, 1].
        count: Number of forgotten images.

    Returns:
        `[count, c, h, w]`, an expanded view of one image.
    """
    mean = auxiliary.mean(dim=0, keepdim=True, dtype=torch.float64).to(auxiliary.dtype)
    return mean.expand(count, -1, -1, -1)


def nearest_images(originals: Tensor, auxiliary: Tensor) -> Tensor:
    """Return, for each original, the auxiliary image that is nearest to it by MSE.

    This baseline uses the originals, which no attacker has. It bounds what copying an auxiliary image can achieve,
    so an attack that beats it has learned something that its auxiliary images do not contain.

    Args:
        originals: `[n, c, h, w]` in [0, 1].
        auxiliary: `[m, c, h, w]` in [0, 1].

    Returns:
        `[n, c, h, w]`, in the order of the originals.
    """
    nearest = [distances.argmin(dim=1) for distances in distance_blocks(originals, auxiliary)]
    return auxiliary[torch.cat(nearest)]
