"""The order in which images lie in memory, which decides how fast a network takes them."""

import torch
from torch import Tensor, nn

# Not all of torch: traced and scripted modules hold what somebody wrote.
_INDIFFERENT = ("torch.nn.", "torchvision.", "palimpsest.")


def laid_out_for(model: nn.Module, images: Tensor) -> Tensor:
    """The same images, in the order in which the model computes fastest on a processor.

    There pooling takes a fifth of the time where a pixel's channels lie beside each other, as what a convolution makes
    of such images does. A module of somebody's own may take them for lying as they usually do, as `view` does: it gets
    them like that.

    Args:
        model: It will be called with them.
        images: `[n, channels, height, width]`, or samples of another kind, which are left as they are.
    """
    if images.dim() != 4 or images.device.type != "cpu":
        return images
    if not all(type(module).__module__.startswith(_INDIFFERENT) for module in model.modules()):
        return images
    return images.contiguous(memory_format=torch.channels_last)
