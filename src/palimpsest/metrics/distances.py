"""Squared distances between all pairs of images, a block of rows at a time."""

from collections.abc import Iterator

from torch import Tensor

_BLOCK = 2**22


def distance_blocks(images: Tensor, candidates: Tensor) -> Iterator[Tensor]:
    """Squared L2 distances from each image to each candidate, in float64.

    |a - b|^2 = |a|^2 - 2 a.b + |b|^2 turns the work into matrix products. In float64 the cancellation costs
    about 1e-13 of |a|^2 + |b|^2, which is nothing beside one gray level of one pixel.

    Args:
        images: `[n, c, h, w]`.
        candidates: `[m, c, h, w]`.

    Yields:
        `[rows, m]` for consecutive blocks of images, at most about 4 million distances each, none negative.
    """
    targets = candidates.flatten(1).double()
    lengths = targets.square().sum(dim=1)
    for block in images.flatten(1).split(max(1, _BLOCK // max(1, len(targets)))):
        rows = block.double()
        distances = rows.square().sum(dim=1, keepdim=True) + lengths
        yield distances.addmm_(rows, targets.T, alpha=-2).clamp_(min=0)
