"""What every built-in classifier has in common: an architecture that fits any image, and where it starts."""

from abc import abstractmethod
from typing import Literal

from torch import nn

from palimpsest.registry import Component


class Classifier(Component):
    """An architecture with its settings; calling it makes a network with random parameters."""

    initialization: Literal["default", "uniform"] = "default"
    """Where training starts: PyTorch's default, or every parameter drawn from U(-0.5, 0.5) (Learning to
    Invert)."""

    @abstractmethod
    def layers(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """The network with PyTorch's default initialization; arguments as for calling the classifier."""

    def __call__(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Make the network; its parameters are drawn from PyTorch's global random state (see `build_model`).

        Args:
            shape: Channels, height and width of one image.
            classes: How many logits the network returns.
        """
        model = self.layers(shape, classes)
        if self.initialization == "uniform":
            for parameter in model.parameters():
                nn.init.uniform_(parameter, -0.5, 0.5)
        return model
