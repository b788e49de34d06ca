"""Residual network for small images."""

from typing import ClassVar

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from palimpsest.models.classifier import Classifier
from palimpsest.registry import MODELS

_BLOCKS = 3


@MODELS.register("resnet20")
class ResNet20(Classifier):
    """ResNet-20 with parameter-free shortcuts (option A): 269,722 parameters for CIFAR-10."""

    source: ClassVar[str] = "Deep Residual Learning (He et al., 2016), section 4.2; IGF, Table 5"

    width: PositiveInt = 16
    """Channels of the first stage; the second and third have twice and four times as many."""

    def layers(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see `Classifier.layers`."""
        width = self.width
        stages: list[nn.Module] = [
            nn.Conv2d(shape[0], width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        in_channels = width
        for out_channels in (width, 2 * width, 4 * width):
            for block in range(_BLOCKS):
                stride = 2 if out_channels > width and block == 0 else 1
                stages.append(_Block(in_channels, out_channels, stride))
                in_channels = out_channels
        return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(in_channels, classes))


class _Block(nn.Module):
    """Residual block of two convolutions."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        """Create the layers; the first convolution has the stride."""
        super().__init__()
        self.convolution1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.normalization1 = nn.BatchNorm2d(out_channels)
        self.convolution2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.normalization2 = nn.BatchNorm2d(out_channels)
        self.stride = stride
        self.new_channels = out_channels - in_channels

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the block's output, `[n, out_channels, height / stride, width / stride]`."""
        features = F.relu(self.normalization1(self.convolution1(inputs)))
        features = self.normalization2(self.convolution2(features))
        return F.relu(features + self._shortcut(inputs))

    def _shortcut(self, inputs: Tensor) -> Tensor:
        # Option A: subsample the pixels, and pad the new channels with zeros, half of them on each side.
        before = self.new_channels // 2
        pixels = inputs[:, :, :: self.stride, :: self.stride]
        return F.pad(pixels, (0, 0, 0, 0, before, self.new_channels - before))
