"""The app's network, its data, and the images that each client has to forget."""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn

CLIENTS, FORGOTTEN = 2, 15


class Net(nn.Module):
    """Small convolutional network for gray images of 8 x 8 pixels."""

    def __init__(self) -> None:
        """Create the layers."""
        super().__init__()
        self.convolution = nn.Conv2d(1, 16, 3, padding=1)
        self.head = nn.Linear(16 * 16, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(F.max_pool2d(F.relu(self.convolution(images)), 2).flatten(1))


def load_data(partition: int) -> tuple[Tensor, Tensor]:
    """Load a client's images and labels. The clients share half of the digits; no client has the rest."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))[: len(labels) // 2]
    rows = order[partition::CLIENTS]
    images = torch.from_numpy(pixels[rows].astype(np.float32) / 16).view(-1, 1, 8, 8)
    return images, torch.from_numpy(labels[rows])


def forgotten(context) -> tuple[Tensor, Tensor]:
    """Return the samples that this client has to forget: its first images, as if a person had requested deletion."""
    images, labels = load_data(int(context.node_config["partition-id"]))
    return images[:FORGOTTEN], labels[:FORGOTTEN]


def fit(model: Net, images: Tensor, labels: Tensor, *, epochs: int, learning_rate: float) -> float:
    """Train the model, and return the last loss."""
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=0.9)
    loss = torch.tensor(0.0)
    for _ in range(epochs):
        for rows in torch.randperm(len(images), generator=generator).split(32):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images[rows]), labels[rows])
            loss.backward()
            optimizer.step()
    return loss.item()
