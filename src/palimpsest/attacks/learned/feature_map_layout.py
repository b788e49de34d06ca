"""Feature-map layout of the last linear layer's inputs, found by querying shifted images."""

import math
from collections.abc import Callable

from torch import Tensor

from palimpsest.attacks.learned.inverter import MapShape
from palimpsest.attacks.learned.last_linear import LastLinear, factorize_rank_two

# Minimum correlation of shifted feature maps. Away from the border, a convolution's features follow a shift of the
# image almost exactly in the correct layout, and in no other.
_MIN_CORRELATION = 0.6
_SIDES = (3, 4, 6, 7, 8, 14, 16)


def probe_count(images: Tensor) -> int:
    """Return the maximum number of shifted images that `find_feature_map_layout` queries.

    Args:
        images: Auxiliary images, `[n, channels, height, width]`.
    """
    return 2 * len(images) * len(_candidate_sides(*images.shape[-2:]))


def find_feature_map_layout(
    last_linear: LastLinear, images: Tensor, differences: Callable[[Tensor], Tensor]
) -> MapShape | None:
    """Find the layout of the last layer's inputs as feature maps over the image, without knowing the model.

    A feature map moves with the image: if the image is shifted by one cell of an s x s map, each channel is shifted by
    one entry. The auditor queries shifted images and chooses the layout that predicts the answers best.

    Args:
        last_linear: The last linear layer.
        images: Auxiliary images, `[n, channels, height, width]`.
        differences: Function that queries the oracle: it maps images `[n, channels, height, width]` to gradient
            differences `[n, d]`.

    Returns:
        Channels, height, and width of the map, which is flattened with the channels first. None if the inputs follow
        the shifts in no layout.
    """
    height, width = images.shape[-2:]
    sides = [side for side in _candidate_sides(height, width) if last_linear.width % side**2 == 0]
    if not sides:
        return None
    unshifted = factorize_rank_two(last_linear, differences(images)).features
    correlations = {}
    for side in sides:
        right_images = images.roll(math.ceil(width / side), dims=3)
        down_images = images.roll(math.ceil(height / side), dims=2)
        right = factorize_rank_two(last_linear, differences(right_images)).features
        down = factorize_rank_two(last_linear, differences(down_images)).features
        before, after = slice(1, side - 1), slice(2, side)
        correlations[side] = min(
            _correlation(_as_maps(unshifted, side)[..., before], _as_maps(right, side)[..., after]),
            _correlation(_as_maps(unshifted, side)[..., before, :], _as_maps(down, side)[..., after, :]),
        )
    best = max(correlations, key=lambda side: correlations[side])
    return (last_linear.width // best**2, best, best) if correlations[best] > _MIN_CORRELATION else None


def _candidate_sides(height: int, width: int) -> list[int]:
    """Return the sides of maps whose cells cover at least two pixels in each direction."""
    return [side for side in _SIDES if height >= 2 * side and width >= 2 * side]


def _as_maps(features: Tensor, side: int) -> Tensor:
    """Reshape both models' features `[n, 2, width]` to maps `[n, 2 channels, side, side]`."""
    return features.reshape(len(features), -1, side, side)


def _correlation(before: Tensor, after: Tensor) -> float:
    """Correlate the features' deviations from their mean over the images."""
    left, right = (maps - maps.mean(0) for maps in (before, after))
    scale = left.norm() * right.norm()
    return float((left * right).sum() / scale) if scale > 0 else 0.0
