"""Smallest runs of each attack: audits, and attacks on artifacts with known truth."""

import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tests.support.artifacts import write_folder
from torch import nn

from palimpsest.artifacts import ArtifactsConfig, load_samples, read_artifacts_config
from palimpsest.artifacts.auditor import models_of
from palimpsest.artifacts.config import ProveConfig
from palimpsest.attacks import Attack, ServerAttack
from palimpsest.config import AuditConfig, build_config, validate
from palimpsest.datasets import ImageSet, SampleSet, TokenSet
from palimpsest.federation import observe, snapshot
from palimpsest.models import build_custom_model
from palimpsest.pipeline.stages.prove import make_proofs
from palimpsest.proofs import save_proofs
from palimpsest.registry import ATTACKS

DEFENSES = ("sign",)
AUDIT: dict[str, Any] = {
    "data": {"name": "digits", "auxiliary_size": 40, "train_size": 60},
    "model": {"name": "lenet"},
    "federation": {"clients": 2, "fraction": 1.0, "rounds": 1},
    "unlearning": {"count": 4},
    "observation": {"retained": 2, "forgotten": 2},
    "verification": {"tau": 1.0},
    "scoring": {"bootstrap": 10},
}
_LEAST = {
    "iterations": 1,
    "epochs": 1,
    "width": 8,
    "hidden": 8,
    "beta": 0,
    "queries": 2,
    "components": 4,
    "batch_size": 16,
    "matching": 1,
    "surrogate_epochs": 1,
    "blocks": 0,
    "calibration": 2,
    "rounds": 1,
    "submatrices": 64,
}
FIRST_LAYER = ("spear", "cocktail-party")
"""Attacks on a first layer that is linear. Its gradient contains a multiple of each image that is alone in a unit."""
_TABLES = """
from torch import nn

def rows():
    return nn.Sequential(nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 2))

def tokens():
    return nn.Sequential(nn.Embedding(40, 3), nn.Flatten(), nn.Linear(36, 2))
"""
AUDITORS = [name for name, kind in ATTACKS if issubclass(kind, Attack) and kind.takes is ImageSet]
TABLES = [name for name, kind in ATTACKS if issubclass(kind, Attack) and kind.takes is not ImageSet]
SERVERS = [name for name, kind in ATTACKS if issubclass(kind, ServerAttack)]


def least(name: str) -> dict[str, Any]:
    """Return the settings of an attack with the least possible work."""
    return {"name": name} | {
        key: value for key, value in _LEAST.items() if key in ATTACKS.get(name).model_fields
    }


def samples_at(path: Path) -> SampleSet:
    """Load the samples of a folder or table as an attack on artifacts does."""
    return load_samples(str(path)).samples


def audit_of(name: str, *, defenses: tuple[str, ...] = DEFENSES) -> AuditConfig:
    """Make the configuration of an audit with this attack."""
    model = {"model": {"name": "mlp"}} if name in FIRST_LAYER else {}
    return build_config(AUDIT | model | {"attack": least(name), "defenses": list(defenses)})


def table_case(name: str, here: Path) -> ArtifactsConfig:
    """Make the configuration of an attack on rows or tokens, with the truth, and its files in the working directory."""
    kind = "tokens" if ATTACKS.get(name).takes is TokenSet else "rows"
    (here / "own_tables.py").write_text(_TABLES)
    sys.modules.pop("own_tables", None)
    namespace: dict[str, Any] = {}
    exec(_TABLES, namespace)
    torch.manual_seed(3)
    for checkpoint in ("original", "unlearned"):
        save_file(namespace[kind]().state_dict(), here / f"{checkpoint}.safetensors")
    for part, count in (("forgotten", 4), ("auxiliary", 30)):
        _write_table(here / f"{part}.csv", kind, count)
    models = {
        "original": str(here / "original.safetensors"),
        "unlearned": str(here / "unlearned.safetensors"),
        "model": f"own_tables:{kind}",
        "device": "cpu",
    }
    proving = validate(ProveConfig, models | {"samples": str(here / "forgotten.csv")}, where="test")
    save_proofs(here / "proofs.safetensors", make_proofs(proving))
    artifacts = {
        "proofs": str(here / "proofs.safetensors"),
        "auxiliary": str(here / "auxiliary.csv"),
        "truth": str(here / "forgotten.csv"),
        "attack": least(name),
        "defenses": list(DEFENSES),
        "scoring": {"bootstrap": 10},
    }
    return read_artifacts_config(None, models | artifacts)


def _write_table(path: Path, kind: str, count: int) -> None:
    inputs = torch.randn(count, 12) if kind == "rows" else torch.randint(40, (count, 12))
    columns = "tokens" if kind == "tokens" else ",".join(f"c{column}" for column in range(12))
    separator = " " if kind == "tokens" else ","
    lines = [separator.join(map(str, values)) + f",{row % 2}" for row, values in enumerate(inputs.tolist())]
    path.write_text("\n".join([f"{columns},label", *lines]) + "\n")


def server_case(name: str, here: Path, pieces: Path, models: dict[str, Any]) -> ArtifactsConfig:
    """Make the configuration of an attack on a server's gradients, with the truth of both parts."""
    for part, seed in (("retained", 7), ("forgotten", 8)):
        write_folder(here / part, 2, seed=seed)
    retained, forgotten = samples_at(here / "retained"), samples_at(here / "forgotten")
    assert isinstance(retained, ImageSet)
    assert isinstance(forgotten, ImageSet)
    if name in FIRST_LAYER:
        models = models | {"model": "mlp"} | _perceptrons(here, forgotten)
    tree = models | {
        "gradients": str(here / "gradients.safetensors"),
        "auxiliary": str(pieces / "images"),
        "truth": str(here / "forgotten"),
        "retained_truth": str(here / "retained"),
        "observation": {"retained": 2, "forgotten": 2},
        "scoring": {"bootstrap": 10},
    }
    held = models_of(
        read_artifacts_config(None, tree | {"attack": {"name": "dragd"}}), forgotten, device="cpu"
    )
    assert held is not None
    network: nn.Module = held.original
    observation = observe(
        network, snapshot(held.original), snapshot(held.unlearned), retained, forgotten, batches=3
    )
    save_file(
        {
            "gradients_before": observation.gradients_before,
            "gradients_after": observation.gradients_after,
            "labels_retained": retained.labels.view(3, 2),
            "labels_forgotten": forgotten.labels.view(3, 2),
        },
        here / "gradients.safetensors",
    )
    return read_artifacts_config(None, tree | {"attack": least(name)})


def _perceptrons(here: Path, samples: ImageSet) -> dict[str, Any]:
    """Write two checkpoints of a perceptron for samples of this shape, and return the keys that name them."""
    torch.manual_seed(4)
    network = build_custom_model("mlp", {}, shape=samples.shape, classes=samples.classes)
    for checkpoint in ("original", "unlearned"):
        state = {key: value + 0.01 * torch.randn(value.shape) for key, value in network.state_dict().items()}
        save_file(state, here / f"{checkpoint}.safetensors")
    return {checkpoint: str(here / f"{checkpoint}.safetensors") for checkpoint in ("original", "unlearned")}
