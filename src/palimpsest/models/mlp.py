"""A multilayer perceptron on the flattened image."""

from typing import ClassVar

from pydantic import PositiveInt
from torch import nn

from palimpsest.models.classifier import Classifier
from palimpsest.registry import MODELS


@MODELS.register("mlp")
class MultilayerPerceptron(Classifier):
    """Linear layers with ReLU on the flattened image: 159,010 parameters for MNIST, 616,610 for CIFAR-10.

    The gradient of its first layer is a sum of products with the images themselves, which `spear` and `cocktail-party`
    take apart.
    """

    source: ClassVar[str] = (
        "SPEAR, section 6, and Cocktail Party Attack, section 5.1, attack fully connected networks"
    )

    width: PositiveInt = 200
    """Units of each hidden layer."""
    depth: PositiveInt = 1
    """Hidden layers, each followed by ReLU."""

    def layers(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see `Classifier.layers`."""
        channels, height, width = shape
        features = channels * height * width
        stages: list[nn.Module] = [nn.Flatten()]
        for _ in range(self.depth):
            stages += [nn.Linear(features, self.width), nn.ReLU()]
            features = self.width
        return nn.Sequential(*stages, nn.Linear(features, classes))
