"""Total variation of images."""

from torch import Tensor


def total_variation(images: Tensor) -> Tensor:
    """Compute the mean absolute difference of neighboring pixels, horizontal plus vertical.

    Inverting Gradients and GIAMU add it to their objectives as a regularizer.

    Args:
        images: `[..., height, width]`, at least 2 pixels high and wide, with any number of channels.

    Returns:
        A scalar, at least 0; 0 for images of one color.
    """
    horizontal = (images[..., :, 1:] - images[..., :, :-1]).abs().mean()
    vertical = (images[..., 1:, :] - images[..., :-1, :]).abs().mean()
    return horizontal + vertical
