"""Base class of the classifiers, with the choice of initialization."""

from abc import abstractmethod
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from palimpsest.errors import ModelError
from palimpsest.registry import Component


class Classifier(Component):
    """Base class of an architecture with its settings. Calling it builds a network with random parameters.

    A subclass declares its settings as fields, implements `layers`, and is registered in `MODELS` or named by an entry
    point of the group `palimpsest.models`.
    """

    initialization: Literal["default", "uniform"] = "default"
    """Initialization of the parameters: PyTorch's default, or all from U(-0.5, 0.5) as in Learning to Invert."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability with which dropout sets each input of the last linear layer to zero in training. Gradients of proofs
    and batches are computed without dropout."""

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

        Raises:
            ModelError: `dropout` is set, but the network is no sequence of layers that ends with a linear one.
        """
        model = self.layers(shape, classes)
        if self.dropout:
            if not isinstance(model, nn.Sequential) or not isinstance(model[-1], nn.Linear):
                raise ModelError(
                    f"model.dropout is {self.dropout}, but {type(self).__name__} does not end with a linear layer. "
                    "Set it to 0, and add dropout to the model's own layers."
                )
            model.insert(len(model) - 1, nn.Dropout(self.dropout))
        if self.initialization == "uniform":
            for parameter in model.parameters():
                nn.init.uniform_(parameter, -0.5, 0.5)
        return model
