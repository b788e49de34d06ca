"""The LeNet variant of the gradient inversion literature."""

from typing import ClassVar, Literal

from torch import nn

from palimpsest.models.classifier import Classifier
from palimpsest.registry import MODELS

_ACTIVATIONS = {"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh}
_CHANNELS = 12
_STRIDES = (2, 2, 1)


@MODELS.register("lenet")
class LeNet(Classifier):
    """Three 5x5 convolutions of 12 channels and one linear layer: 15,826 parameters for CIFAR-10."""

    source: ClassVar[str] = (
        "Deep Leakage from Gradients (Zhu et al., 2019); Learning to Invert (Wu et al., 2023)"
    )

    activation: Literal["sigmoid", "relu", "tanh"] = "sigmoid"
    """Activation after each convolution; gradient matching with L-BFGS uses second derivatives, so a smooth one."""

    def layers(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see `Classifier.layers`."""
        channels, height, width = shape
        stages: list[nn.Module] = []
        for stride in _STRIDES:
            stages += [nn.Conv2d(channels, _CHANNELS, 5, stride, padding=2), _ACTIVATIONS[self.activation]()]
            channels, height, width = _CHANNELS, -(-height // stride), -(-width // stride)
        return nn.Sequential(*stages, nn.Flatten(), nn.Linear(channels * height * width, classes))
