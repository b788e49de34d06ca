"""What can be had without any proof, from the auxiliary images alone."""

import torch
from torch import Tensor

from palimpsest.metrics.distances import distance_blocks


def mean_image(auxiliary: Tensor, count: int) -> Tensor:
    """The mean auxiliary image as the reconstruction of everything: the best constant answer by MSE.

    Args:
        auxiliary: `[m, c, h, w]`.
        count: How many images were forgotten.

    Returns:
        `[count, c, h, w]`; all rows share one image's memory.
    """
    mean = auxiliary.mean(dim=0, keepdim=True, dtype=torch.float64).to(auxiliary.dtype)
    return mean.expand(count, -1, -1, -1)


def nearest_images(originals: Tensor, auxiliary: Tensor) -> Tensor:
    """For each original the auxiliary image that is nearest to it by MSE.

    An oracle: it looks at the originals, which no attacker can. It is the best that copying an auxiliary
    image could do, so an attack that beats it has learned something that its auxiliary images do not show.

    Args:
        originals: `[n, c, h, w]`.
        auxiliary: `[m, c, h, w]`.

    Returns:
        `[n, c, h, w]`.
    """
    nearest = [distances.argmin(dim=1) for distances in distance_blocks(originals, auxiliary)]
    return auxiliary[torch.cat(nearest)]
