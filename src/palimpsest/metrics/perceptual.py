"""LPIPS, the learned perceptual distance between images."""

from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.errors import MissingDependencyError, ModelError
from palimpsest.metrics.image_metrics import paired_batches
from palimpsest.system.torchvision_compat import import_torchvision

Network = Literal["alex", "squeeze", "vgg"]

_TORCHVISION_NAMES = {"alex": "alexnet", "squeeze": "squeezenet1_1", "vgg": "vgg16"}
_SMALLEST_SIDE = 32
"""AlexNet needs at least 31 pixels; at 32, values on CIFAR are comparable with the literature's."""

_BATCH_PIXELS = 2**17


@torch.no_grad()
def lpips(images: Tensor, originals: Tensor, *, network: Network = "alex") -> Tensor:
    """Compute the learned perceptual distance of each pair (LPIPS 0.1, Zhang et al., 2018).

    Gray images are repeated to three channels. Images with a side below 32 are enlarged (bilinear, same aspect ratio)
    on both sides, because AlexNet needs at least 31 pixels. Weights are never downloaded and never random.

    Args:
        images: `[n, c, h, w]` in [0, 1], c 1 or 3.
        originals: The same shape.
        network: Network whose features are compared.

    Returns:
        `[n]` float64, at least 0; 0 for identical images.

    Raises:
        MissingDependencyError: torchvision or the network's pretrained weights are missing.
        ModelError: The images have neither one nor three channels.
    """
    channels = images.shape[1]
    if channels not in (1, 3):
        raise ModelError(f"LPIPS needs gray or RGB images, but these have {channels} channels.")
    _check_weights(network)
    metric = _metric(network).to(images.device)
    distances = [
        metric(_network_input(left), _network_input(right), normalize=True).reshape(-1)
        for left, right in paired_batches(images, originals, pixels=_BATCH_PIXELS)
    ]
    return torch.cat(distances).double()


def _network_input(images: Tensor) -> Tensor:
    scale = _SMALLEST_SIDE / min(images.shape[-2:])
    if scale > 1:
        size = [max(_SMALLEST_SIDE, round(scale * side)) for side in images.shape[-2:]]
        images = F.interpolate(images, size, mode="bilinear", align_corners=False)
    return images.expand(-1, 3, -1, -1)


def _check_weights(network: Network) -> None:
    torchvision = import_torchvision()
    url = torchvision.models.get_model_weights(_TORCHVISION_NAMES[network]).DEFAULT.url
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    if not path.is_file():
        raise MissingDependencyError(
            f"LPIPS needs the pretrained weights {path}, which are missing. Download {url} to that path, or set "
            "TORCH_HOME to a folder whose hub/checkpoints contains them."
        )


@cache
def _metric(network: Network) -> nn.Module:
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    # Building a network draws random weights before the pretrained ones are loaded, so protect the global generator.
    with torch.random.fork_rng(devices=[]):
        try:
            return LearnedPerceptualImagePatchSimilarity(network).net
        except (RuntimeError, OSError, EOFError, ValueError, UnpicklingError) as error:
            reason = " ".join(str(error).split())[:200]
            raise MissingDependencyError(
                f"The pretrained weights of {_TORCHVISION_NAMES[network]} in {torch.hub.get_dir()} can't be read "
                f"({reason}). Download them again."
            ) from error
