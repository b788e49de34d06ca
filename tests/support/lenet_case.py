"""Artifacts of the built-in LeNet: checkpoints, image folders, proofs, and a finished attack on them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import palimpsest as pp
from palimpsest.models import build_custom_model
from palimpsest.pipeline.results.result import AuditResult

ATTACK: dict[str, Any] = {
    "name": "igf",
    "epochs": 1,
    "width": 8,
    "components": 4,
    "beta": 0,
    "queries": 2,
    "horizontal_flip": False,
}
"""Settings of an attack that takes less than a second."""
KEYS = "original", "unlearned", "model", "auxiliary"
"""The keys of the case that an attack takes as well."""


@pytest.fixture(scope="session")
def lenet_case(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Make two checkpoints of a LeNet and image folders, and return their keys; tests must not change the files."""
    folder = tmp_path_factory.mktemp("lenet")
    random = np.random.default_rng(1)
    for place, count in (("auxiliary", 12), ("forgotten", 4)):
        for label in range(2):
            (folder / place / f"class{label}").mkdir(parents=True)
            for row in range(count):
                pixels = random.integers(0, 255, (8, 8)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / place / f"class{label}" / f"{row:02}.png")
    torch.manual_seed(0)
    network = build_custom_model("lenet", {}, shape=(1, 8, 8), classes=2)
    for name in ("original", "unlearned"):
        state = {key: value + 0.1 * torch.randn(value.shape) for key, value in network.state_dict().items()}
        save_file(state, folder / f"{name}.safetensors")
    return {
        "original": folder / "original.safetensors",
        "unlearned": folder / "unlearned.safetensors",
        "model": "lenet",
        "forgotten": folder / "forgotten",
        "auxiliary": folder / "auxiliary",
    }


@pytest.fixture(scope="session")
def lenet_proofs(lenet_case: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the proof file of the forgotten images, which tests must not change."""
    path = tmp_path_factory.mktemp("lenet") / "proofs.safetensors"
    pair = lenet_case["original"], lenet_case["unlearned"]
    pp.prove(*pair, lenet_case["forgotten"], model="lenet", out=path)
    return path


@pytest.fixture(scope="session")
def lenet_attack(
    lenet_case: dict[str, Any], lenet_proofs: Path, tmp_path_factory: pytest.TempPathFactory
) -> AuditResult:
    """Run the attack, and return its result; tests must not change its folder."""
    keys = {key: lenet_case[key] for key in KEYS}
    return pp.attack(proofs=lenet_proofs, **keys, attack=ATTACK, out=tmp_path_factory.mktemp("lenet") / "run")
