"""Perceptual distance: distance between VGG-16's features of two images (IGF, Eq. 8)."""

from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.hub import load_state_dict_from_url

from palimpsest.errors import CheckpointError, ConfigurationError
from palimpsest.storage import Parameters, read_tensors

WEIGHTS_URL = "https://download.pytorch.org/models/vgg16-397923af.pth"
"""torchvision's weights of VGG-16, trained on ImageNet. The file name ends with the first digits of its SHA-256."""
# ImageNet's channel means and standard deviations, with which VGG-16 was trained.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CONVOLUTIONS = {
    "features.0": (3, 64),
    "features.2": (64, 64),
    "features.5": (64, 128),
    "features.7": (128, 128),
}


class VggFeatures(nn.Module):
    """VGG-16 up to relu2_2, the function phi of Eq. 8.

    The paper specifies neither the layer nor the pooling; relu1_2 and relu2_2 preserve the details of 32-pixel images.

    Args:
        parameters: Weights and biases of `features.0`, `.2`, `.5`, and `.7`, under torchvision's names.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, parameters: Parameters) -> None:
        """Build the layers with these weights, and freeze them."""
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(*size, 3, padding=1) for size in _CONVOLUTIONS.values())
        for name, convolution in zip(_CONVOLUTIONS, self.convolutions, strict=True):
            convolution.load_state_dict(
                {"weight": parameters[f"{name}.weight"], "bias": parameters[f"{name}.bias"]}
            )
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Compute the feature maps relu1_2 and relu2_2.

        Args:
            images: Images, `[n, channels, height, width]` in [0, 1]; a single channel is repeated to three.
        """
        return list(self._maps((images.expand(-1, 3, -1, -1) - self.mean) / self.std))

    def _maps(self, maps: Tensor) -> Iterator[Tensor]:
        for index, convolution in enumerate(self.convolutions):
            maps = F.relu(convolution(maps))
            if index % 2:
                yield maps
                maps = F.max_pool2d(maps, 2)


def perceptual_distance(features: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Compute the mean squared distance of features, relative to the targets' mean squared features (IGF, Eq. 8).

    The paper does not specify the scale of phi. Dividing by the mean square of the targets' features puts the distance
    of an unrelated image near 1 in each layer, so that beta has the same meaning for all data sets.

    Args:
        features: The function phi, such as `VggFeatures`.
        images: Reconstructed images, `[n, channels, height, width]` in [0, 1].
        targets: Original images of the same shape.

    Returns:
        A scalar, 0 for equal images.
    """
    with torch.no_grad():
        references = [maps.float() for maps in features(targets)]
    distances = [
        F.mse_loss(maps.float(), reference) / reference.square().mean()
        for maps, reference in zip(features(images), references, strict=True)
    ]
    return torch.stack(distances).mean()


def load_vgg_features(weights: Path | None) -> VggFeatures:
    """Load VGG-16 with trained weights; random weights are never used in their place.

    Args:
        weights: A safetensors file with VGG-16's first four convolutions. None means torchvision's weights from its
            cache; they are not downloaded.

    Returns:
        The network, with frozen weights.

    Raises:
        ConfigurationError: torchvision's weights are not available.
        CheckpointError: The file is damaged, or a layer is missing.
    """
    if weights is not None:
        parameters, _ = read_tensors(weights)
        names = [f"{name}.{part}" for name in _CONVOLUTIONS for part in ("weight", "bias")]
        missing = [name for name in names if name not in parameters]
        if missing:
            raise CheckpointError(
                f"{weights} has no tensor {missing[0]!r}. Pass a file that contains VGG-16's first four convolutions "
                "under torchvision's names."
            )
        return VggFeatures(parameters)
    path = cached_vgg()
    if not path.is_file():
        raise ConfigurationError(
            f"The perceptual loss needs VGG-16's weights {path}, which are missing. Download {WEIGHTS_URL} to that "
            "path, pass a file with --attack.vgg-weights, or set --attack.beta 0."
        )
    return VggFeatures(download_vgg())


def cached_vgg() -> Path:
    """Return the path of torchvision's VGG-16 weights in the cache of torch's hub, whether or not they are there."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(WEIGHTS_URL).name


def download_vgg() -> Parameters:
    """Read torchvision's VGG-16 weights, and download them to the cache of torch's hub if they are missing.

    Raises:
        ConfigurationError: They can't be downloaded or read.
    """
    try:
        return load_state_dict_from_url(WEIGHTS_URL, progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise ConfigurationError(
            f"The perceptual loss needs VGG-16's weights, which can't be loaded ({error}). Pass a file with "
            "--attack.vgg-weights, or set --attack.beta 0."
        ) from error
