"""Small networks of a user, for the audits of `benchmarks.default_attack`."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from palimpsest.models.resnet import ResNet20


def own_cnn(*, channels: int, size: int, classes: int) -> nn.Module:
    """Build a convolutional network with batch normalization."""
    side = size // 4
    return nn.Sequential(
        *_block(channels, 16),
        nn.MaxPool2d(2),
        *_block(16, 32),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * side * side, classes),
    )


def lenet_relu(*, channels: int, size: int, classes: int) -> nn.Module:
    """Build LeNet with ReLU and three linear layers."""
    side = size // 4
    return nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * side * side, 84),
        nn.ReLU(),
        nn.Linear(84, classes),
    )


def resnet20(*, channels: int, size: int, classes: int) -> nn.Module:
    """Build the ResNet20 of the presets."""
    return ResNet20()((channels, size, size), classes)


def vgg(*, channels: int, size: int, classes: int) -> nn.Module:
    """Build a network like VGG that ends with global average pooling."""
    return nn.Sequential(
        *_block(channels, 32),
        *_block(32, 32),
        nn.MaxPool2d(2),
        *_block(32, 64),
        *_block(64, 64),
        nn.MaxPool2d(2),
        *_block(64, 128),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(128, classes),
    )


class VisionTransformer(nn.Module):
    """A small vision transformer with patches of four pixels.

    Args:
        channels: Channels of an image.
        size: Height and width of an image, a multiple of four.
        classes: Number of classes.
    """

    def __init__(self, channels: int, size: int, classes: int) -> None:
        """Build the layers with fresh weights."""
        super().__init__()
        self.patches = nn.Conv2d(channels, 64, 4, stride=4)
        self.positions = nn.Parameter(0.02 * torch.randn((size // 4) ** 2, 64))
        layer = nn.TransformerEncoderLayer(64, 4, 128, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(64), nn.Linear(64, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images `[n, channels, size, size]` to logits `[n, classes]`."""
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.norm(self.layers(tokens)).mean(1))


def vit(*, channels: int, size: int, classes: int) -> nn.Module:
    """Build a small vision transformer."""
    return VisionTransformer(channels, size, classes)


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU()]


NETWORKS: dict[str, Callable[..., nn.Module]] = {
    network.__name__: network for network in (own_cnn, lenet_relu, resnet20, vgg, vit)
}
"""Functions from the shape of the images and the number of classes to a network, by name."""
