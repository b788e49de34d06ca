"""Memory format of image batches: channels last where a model computes faster with it."""

import torch
from torch import Tensor, nn

# Packages whose modules accept any memory format. Of torch only torch.nn: traced and scripted modules are user code.
_FORMAT_AGNOSTIC = ("torch.nn.", "torchvision.", "palimpsest.")


def laid_out_for(model: nn.Module, images: Tensor) -> Tensor:
    """Return the images in the memory format in which the model computes fastest on the CPU.

    With the channels last, pooling takes a fifth of the time, and convolutions keep the format. User-defined modules
    may rely on contiguous images, for example to call `view`, so models that contain one get the images unchanged.

    Args:
        model: The model that will be called with the images.
        images: `[n, channels, height, width]`. Other samples, and images on another device, are returned unchanged.

    Returns:
        The same values, in channels-last format if every module of the model supports it.
    """
    if images.dim() != 4 or images.device.type != "cpu":
        return images
    if not all(type(module).__module__.startswith(_FORMAT_AGNOSTIC) for module in model.modules()):
        return images
    return images.contiguous(memory_format=torch.channels_last)
