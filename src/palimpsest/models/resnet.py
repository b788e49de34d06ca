"""The residual network for small images."""

from typing import ClassVar

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from palimpsest.models.classifier import Classifier
from palimpsest.registry import MODELS

_BLOCKS = 3


@MODELS.register("resnet20")
class ResNet20(Classifier):
    """ResNet-20 with shortcuts that have no parameters (option A): 269,722 parameters for CIFAR-10."""

    source: ClassVar[str] = "Deep Residual Learning (He et al., 2016), section 4.2; IGF, Table 5"

    width: PositiveInt = 16
    """Channels of the first stage; the second and third have twice and four times as many."""

    def layers(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """See `Classifier.layers`."""
        width = self.width
        stages: list[nn.Module] = [
            nn.Conv2d(shape[0], width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        ]
        before = width
        for after in (width, 2 * width, 4 * width):
            for block in range(_BLOCKS):
                stride = 2 if after > width and block == 0 else 1
                stages.append(_Block(before, after, stride))
                before = after
        return nn.Sequential(*stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


class _Block(nn.Module):
    """Two convolutions, and the input added to what they make of it."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.convolution1 = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
        self.normalization1 = nn.BatchNorm2d(after)
        self.convolution2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.normalization2 = nn.BatchNorm2d(after)
        self.stride = stride
        self.new_channels = after - before

    def forward(self, images: Tensor) -> Tensor:
        """The block's output, `[n, after, height / stride, width / stride]`."""
        features = F.relu(self.normalization1(self.convolution1(images)))
        features = self.normalization2(self.convolution2(features))
        return F.relu(features + self._shortcut(images))

    def _shortcut(self, images: Tensor) -> Tensor:
        # Option A: every other pixel; zeros for the new channels, half before and half after the old.
        before = self.new_channels // 2
        pixels = images[:, :, :: self.stride, :: self.stride]
        return F.pad(pixels, (0, 0, 0, 0, before, self.new_channels - before))
