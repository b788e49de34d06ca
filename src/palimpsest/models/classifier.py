"""Base class of the classifiers, with the choice of initialization."""

from abc import abstractmethod
from typing import Literal

from torch import nn

from palimpsest.registry import Component


class Classifier(Component):
    """Base class of an architecture with its settings. Calling it builds a network with random parameters.

    A subclass declares its settings as fields, implements `layers`, and is registered in `MODELS` or named by an entry
    point of the group `palimpsest.models`.
    """

    initialization: Literal["default", "uniform"] = "default"
    """Initialization of the parameters: PyTorch's default, or all from U(-0.5, 0.5) as in Learning to Invert."""

    @abstractmethod
    def layers(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network with PyTorch's default initialization.

        Args:
            shape: Channels, height and width of one image.
            classes: Number of logits that the network returns.

        Returns:
            A network that maps images `[n, *shape]` to logits `[n, classes]`.
        """

    def __call__(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network, with parameters drawn from PyTorch's global random state (see `build_model`).

        Args:
            shape: Channels, height and width of one image.
            classes: Number of logits that the network returns.

        Returns:
            A network that maps images `[n, *shape]` to logits `[n, classes]`.
        """
        model = self.layers(shape, classes)
        if self.initialization == "uniform":
            for parameter in model.parameters():
                nn.init.uniform_(parameter, -0.5, 0.5)
        return model
