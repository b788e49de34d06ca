"""Model whose fields are configuration keys and flags, such as `--model.hidden 64`."""

from pydantic import PositiveInt
from torch import nn

from palimpsest.models import Classifier


class Perceptron(Classifier):
    """Perceptron with one hidden layer."""

    source = "Rumelhart et al., 1986"

    hidden: PositiveInt = 32
    """Units of the hidden layer."""

    def layers(self, shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Build the network; see `Classifier.layers`."""
        channels, height, width = shape
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * height * width, self.hidden),
            nn.ReLU(),
            nn.Linear(self.hidden, classes),
        )
