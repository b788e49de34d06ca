import gc
import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from palimpsest.config import FederationConfig, ModelConfig
from palimpsest.datasets import FederatedData, ImageSet

# A test must not fail because a shared machine is slow.
settings.register_profile("palimpsest", deadline=None)
settings.load_profile("palimpsest")

# The collector would look again and again at half a million objects of imported modules and collected tests.
gc.set_threshold(50_000, 20, 20)


def pytest_collection_finish() -> None:
    """Exclude what exists before the first test from garbage collections."""
    gc.collect()
    gc.freeze()


pytest_plugins = [
    "tests.support.artifacts",
    "tests.support.audits",
    "tests.support.browser",
    "tests.support.counting_oracle",
    "tests.support.forked",
    "tests.support.lenet_case",
    "tests.support.server_artifacts",
    "tests.support.slow",
]
REASON = "PALIMPSEST_DATA_DIR does not name a folder that mirrors the data sets"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Return the mirror of the real data sets, or skip the test if there is none."""
    folder = os.environ.get("PALIMPSEST_DATA_DIR", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip(REASON)
    return Path(folder)


@pytest.fixture(scope="session")
def weights_dir(data_dir: Path) -> Path:
    """Return the folder of pretrained weights beside the mirror, or skip the test if there is none."""
    folder = data_dir.parent / "weights"
    if not folder.is_dir():
        pytest.skip("There is no folder 'weights' beside the data mirror")
    return folder


def _images(count: int, generator: torch.Generator) -> ImageSet:
    prototypes = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(9))
    labels = torch.arange(count) % 3
    noise = torch.rand(count, 1, 8, 8, generator=generator)
    return ImageSet("blobs", 0.7 * prototypes[labels] + 0.3 * noise, labels, 3)


@pytest.fixture(scope="session")
def data():
    """Create a federation small enough for hundreds of trainings."""
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
    """Configure a model with batch norm."""
    return ModelConfig(name="resnet20")


@pytest.fixture(scope="session")
def config():
    def make(**settings):
        common = {"clients": 5, "fraction": 0.6, "rounds": 3, "batch_size": 8, "learning_rate": 0.1}
        return FederationConfig(**(common | settings))

    return make
