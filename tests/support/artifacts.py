"""Small artifacts of a user: a network in a module, two checkpoints, image folders and proofs."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from palimpsest.artifacts import (
    ArtifactsConfig,
    AuditorArtifacts,
    load_auditor_artifacts,
    read_artifacts_config,
)
from palimpsest.artifacts.config import ProveConfig
from palimpsest.config import validate
from palimpsest.pipeline.stages.prove import make_proofs
from palimpsest.proofs import save_proofs

NETS = """
import torch
from torch import nn

class Net(nn.Sequential):
    def __init__(self, width=4, classes=3):
        super().__init__(
            nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Flatten(), nn.Dropout(0.5), nn.Linear(64 * width, classes),
        )

def not_a_module():
    return 3

def broken():
    raise ZeroDivisionError("by zero")
"""
Make = Callable[..., ArtifactsConfig]
"""Type of the fixture `case`."""
NO_MODELS: dict[str, Any] = {"original": None, "unlearned": None, "model": None}
"""Keys of a configuration without models."""
SMALL = {
    "name": "igf",
    "epochs": 1,
    "width": 8,
    "components": 4,
    "beta": 0,
    "batch_size": 16,
    "queries": 2,
    "horizontal_flip": False,
    "control_size": 0,
}
"""Settings of an attack that takes less than a second, without a positive control."""


def write_folder(folder: Path, per_class: int, *, seed: int) -> None:
    """Write images of three classes, each a prototype with noise."""
    prototypes = np.random.default_rng(9).integers(40, 215, (3, 8, 8))
    random = np.random.default_rng(seed)
    for label, prototype in enumerate(prototypes):
        (folder / f"class{label}").mkdir(parents=True)
        for row in range(per_class):
            noisy = (prototype + random.integers(-40, 40, (8, 8))).astype(np.uint8)
            Image.fromarray(noisy).save(folder / f"class{label}" / f"{row:03}.png")


def load(config: ArtifactsConfig, folder: Path) -> AuditorArtifacts:
    """Load all artifacts that a configuration names, on the CPU."""
    return load_auditor_artifacts(config, folder=folder, data_dir=None, device="cpu")


@pytest.fixture(scope="session")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with all artifacts; the fixture `case` makes configurations from it."""
    folder = tmp_path_factory.mktemp("case")
    (folder / "own_nets.py").write_text(NETS)
    write_folder(folder / "images", 16, seed=1)
    write_folder(folder / "forgotten", 4, seed=2)
    namespace: dict[str, Any] = {}
    exec(NETS, namespace)
    torch.manual_seed(3)
    model = namespace["Net"]()
    model(torch.rand(64, 1, 8, 8))
    torch.save({"epoch": 1, "state_dict": model.state_dict()}, folder / "original.pt")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    save_file(model.state_dict(), folder / "unlearned.safetensors")
    return folder


@pytest.fixture
def here(pieces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make a working directory from which the user's modules are imported."""
    (tmp_path / "own_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    sys.modules.pop("own_nets", None)


@pytest.fixture
def models(pieces: Path) -> dict[str, Any]:
    """Return the keys that name the two models."""
    return {
        "original": str(pieces / "original.pt"),
        "unlearned": str(pieces / "unlearned.safetensors"),
        "model": "own_nets:Net",
        "device": "cpu",
    }


@pytest.fixture
def proofs(pieces: Path, here: Path, models: dict[str, Any]) -> Path:
    """Make the proof file of the forgotten images."""
    path = pieces / "proofs.safetensors"
    if not path.exists():
        config = validate(ProveConfig, models | {"samples": str(pieces / "forgotten")}, where="test")
        save_proofs(path, make_proofs(config))
        # A test may replace the module before it reads a configuration.
        sys.modules.pop("own_nets", None)
    return path


@pytest.fixture
def case(pieces: Path, proofs: Path, models: dict[str, Any]) -> Callable[..., ArtifactsConfig]:
    """Return a function that makes a configuration; keys replace the default ones, and a key of None is left out."""

    def make(**keys: Any) -> ArtifactsConfig:
        tree = models | {"proofs": str(proofs), "auxiliary": str(pieces / "images"), "attack": SMALL}
        tree |= {"scoring": {"bootstrap": 10}} | keys
        return read_artifacts_config(None, {name: value for name, value in tree.items() if value is not None})

    return make
