"""Example of a user's network: it takes normalized images and does not depend on palimpsest."""

from torch import Tensor, nn


class Net(nn.Module):
    """Two convolutions with batch normalization and a linear layer, for gray images of 8 x 8 pixels."""

    def __init__(self, width: int = 16, classes: int = 10) -> None:
        """Create the layers."""
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(32 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of normalized images."""
        return self.head(self.dropout(self.features(images).flatten(1)))
