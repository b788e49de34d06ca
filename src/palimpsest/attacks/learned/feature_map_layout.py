"""Layout of the last layer's inputs over the image, found by shifting queries."""

import math
from collections.abc import Callable

from torch import Tensor

from palimpsest.attacks.learned.inverter import MapShape
from palimpsest.attacks.learned.last_linear import LastLinear, factorize_rank_two

# Away from the border, a convolution's features follow a shift nearly exactly; no other layout does.
_FOLLOWS = 0.6
_SIDES = (3, 4, 6, 7, 8, 14, 16)


def probe_count(images: Tensor) -> int:
    """Count the shifted images that `find_feature_map_layout` queries at most.

    Args:
        images: `[n, channels, height, width]`.
    """
    return 2 * len(images) * len(_candidate_sides(*images.shape[-2:]))


def find_feature_map_layout(
    last_linear: LastLinear, images: Tensor, differences: Callable[[Tensor], Tensor]
) -> MapShape | None:
    """Find how the inputs of the last layer are laid out over the image, without knowing the model.

    A feature map moves with the image: if the image is shifted by one cell of an s x s map, each channel moves by one
    entry. The auditor queries shifted images and takes the layout that predicts the answers best.

    Args:
        last_linear: The last linear layer.
        images: Auxiliary images, `[n, channels, height, width]`.
        differences: Queries the oracle: from images `[n, channels, height, width]` to gradient differences `[n, d]`.

    Returns:
        Channels, height, and width of the map, flattened with the channels first, as convolutions are; None if no
        layout follows the shifts.
    """
    height, width = images.shape[-2:]
    sides = [side for side in _candidate_sides(height, width) if last_linear.width % side**2 == 0]
    if not sides:
        return None
    unshifted = factorize_rank_two(last_linear, differences(images)).features
    follows = {}
    for side in sides:
        right_images = images.roll(math.ceil(width / side), dims=3)
        down_images = images.roll(math.ceil(height / side), dims=2)
        right = factorize_rank_two(last_linear, differences(right_images)).features
        down = factorize_rank_two(last_linear, differences(down_images)).features
        before, after = slice(1, side - 1), slice(2, side)
        follows[side] = min(
            _correlation(_as_maps(unshifted, side)[..., before], _as_maps(right, side)[..., after]),
            _correlation(_as_maps(unshifted, side)[..., before, :], _as_maps(down, side)[..., after, :]),
        )
    best = max(follows, key=lambda side: follows[side])
    return (last_linear.width // best**2, best, best) if follows[best] > _FOLLOWS else None


def _candidate_sides(height: int, width: int) -> list[int]:
    return [side for side in _SIDES if height >= 2 * side and width >= 2 * side]


def _as_maps(features: Tensor, side: int) -> Tensor:
    """Both models' features `[n, 2, width]` as maps `[n, 2 channels, side, side]`."""
    return features.reshape(len(features), -1, side, side)


def _correlation(before: Tensor, after: Tensor) -> float:
    """Correlation of the features' deviations from the mean over the images."""
    left, right = (maps - maps.mean(0) for maps in (before, after))
    scale = left.norm() * right.norm()
    return float((left * right).sum() / scale) if scale > 0 else 0.0
