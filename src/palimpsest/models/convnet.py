"""A small convolutional network."""

from typing import ClassVar

from pydantic import PositiveInt
from torch import nn

from palimpsest.models.classifier import Classifier
from palimpsest.registry import MODELS


@MODELS.register("convnet")
class ConvNet(Classifier):
    """Three 3x3 convolutions with ReLU and max pooling, and one linear layer: 66,570 parameters for CIFAR-10.

    It has no batch normalization, so a sample's gradient does not depend on the mode or on other samples.
    """

    source: ClassVar[str] = "IGF, section 4.1, names a ConvNet and leaves its widths open"

    width: PositiveInt = 32
    """Channels of the first convolution; the other two have twice as many."""

    def layers(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see `Classifier.layers`."""
        channels, height, width = shape
        stages: list[nn.Module] = []
        for out_channels in (self.width, 2 * self.width, 2 * self.width):
            stages += [nn.Conv2d(channels, out_channels, 3, padding=1), nn.ReLU()]
            channels = out_channels
            # A feature map that is one pixel high or wide can't be pooled any further.
            if min(height, width) >= 2:
                stages.append(nn.MaxPool2d(2))
                height, width = height // 2, width // 2
        return nn.Sequential(*stages, nn.Flatten(), nn.Linear(channels * height * width, classes))
