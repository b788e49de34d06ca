"""A federation small enough for hundreds of trainings."""

import pytest
import torch

from palimpsest.config import FederationConfig, ModelConfig
from palimpsest.datasets import FederatedData, ImageSet


def _images(count: int, generator: torch.Generator) -> ImageSet:
    prototypes = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(9))
    labels = torch.arange(count) % 3
    noise = torch.rand(count, 1, 8, 8, generator=generator)
    return ImageSet("blobs", 0.7 * prototypes[labels] + 0.3 * noise, labels, 3)


@pytest.fixture(scope="session")
def data():
    generator = torch.Generator().manual_seed(5)
    train = _images(75, generator)
    held_out, auxiliary = _images(30, generator), _images(30, generator)
    rows = torch.randperm(75, generator=generator)
    clients = rows.split([10, 15, 12, 18, 20])
    return FederatedData(train, clients, held_out, auxiliary, held_out, auxiliary, ())


@pytest.fixture(scope="session")
def lenet():
    return ModelConfig(name="lenet", activation="relu")


@pytest.fixture(scope="session")
def resnet():
    """Has batch norm."""
    return ModelConfig(name="resnet20")


@pytest.fixture(scope="session")
def config():
    def make(**settings):
        common = {"clients": 5, "fraction": 0.6, "rounds": 3, "batch_size": 8, "learning_rate": 0.1}
        return FederationConfig(**(common | settings))

    return make
