"""How rough images are."""

from torch import Tensor


def total_variation(images: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels, across plus down (Inverting Gradients; GIAMU).

    Args:
        images: `[..., height, width]` with any number of channels, at least 2 pixels high and wide.

    Returns:
        A scalar; 0 for images of one colour.
    """
    across = (images[..., :, 1:] - images[..., :, :-1]).abs().mean()
    down = (images[..., 1:, :] - images[..., :-1, :]).abs().mean()
    return across + down
