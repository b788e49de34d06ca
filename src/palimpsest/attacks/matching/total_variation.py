"""Total variation: the roughness of images."""

from torch import Tensor


def total_variation(images: Tensor) -> Tensor:
    """Compute the mean absolute difference of neighboring pixels, across plus down (Inverting Gradients; GIAMU).

    Args:
        images: `[..., height, width]` with any number of channels, at least 2 pixels high and wide.

    Returns:
        A scalar; 0 for images of one color.
    """
    across = (images[..., :, 1:] - images[..., :, :-1]).abs().mean()
    down = (images[..., 1:, :] - images[..., :-1, :]).abs().mean()
    return across + down
