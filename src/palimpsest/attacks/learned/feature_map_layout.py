"""Where a feature looks: the spatial arrangement of a layer's inputs, found by shifting queries."""

import math
from collections.abc import Callable

from torch import Tensor

from palimpsest.attacks.learned.last_linear import Head, factorise

# Features of a convolution follow a shift nearly exactly away from the border, any other arrangement does not.
_FOLLOWS = 0.6
_SIDES = (3, 4, 6, 7, 8, 14, 16)


def probe_count(images: Tensor) -> int:
    """How many shifted images `find_grid` asks about at most."""
    return 2 * len(images) * len(_fitting(*images.shape[-2:]))


def find_grid(
    head: Head, images: Tensor, differences: Callable[[Tensor], Tensor]
) -> tuple[int, int, int] | None:
    """How the inputs of the last layer lie over the image, without knowing the model.

    A feature map moves with the image: shifting a query by one cell of an s x s map moves each channel by one entry.
    The auditor may ask about any image, so it asks about shifted ones and sees which arrangement predicts the answer.

    Args:
        head: The last layer.
        images: Some images, `[n, channels, height, width]`.
        differences: Asks the oracle: gradient differences `[n, d]` of images `[n, channels, height, width]`.

    Returns:
        Channels, height and width of the map, channels first as convolutions flatten; none where nothing moves along.
    """
    height, width = images.shape[-2:]
    sides = [side for side in _fitting(height, width) if head.width % side**2 == 0]
    if not sides:
        return None
    still = factorise(head, differences(images)).features
    follows = {}
    for side in sides:
        right = factorise(head, differences(images.roll(math.ceil(width / side), dims=3))).features
        down = factorise(head, differences(images.roll(math.ceil(height / side), dims=2))).features
        inner, further = slice(1, side - 1), slice(2, side)
        follows[side] = min(
            _agreement(_arrange(still, side)[..., inner], _arrange(right, side)[..., further]),
            _agreement(_arrange(still, side)[..., inner, :], _arrange(down, side)[..., further, :]),
        )
    best = max(follows, key=lambda side: follows[side])
    return (head.width // best**2, best, best) if follows[best] > _FOLLOWS else None


def _fitting(height: int, width: int) -> list[int]:
    return [side for side in _SIDES if height >= 2 * side and width >= 2 * side]


def _arrange(features: Tensor, side: int) -> Tensor:
    """Both models' features `[n, 2, width]` as maps `[n, 2 channels, side, side]`."""
    return features.reshape(len(features), -1, side, side)


def _agreement(before: Tensor, after: Tensor) -> float:
    """Correlation of the features' deviations from each place's mean over the images."""
    left, right = (maps - maps.mean(0) for maps in (before, after))
    scale = left.norm() * right.norm()
    return float((left * right).sum() / scale) if scale > 0 else 0.0
