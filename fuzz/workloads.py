"""Workloads that are killed repeatedly: audits of about a second, attacks on a user's artifacts, and a sweep."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from palimpsest.config import AuditConfig, build_config

CONFIG: dict[str, Any] = {
    "data": {"name": "digits", "auxiliary_size": 100, "train_size": 200},
    "model": {"name": "lenet"},
    "federation": {"clients": 4, "fraction": 0.5, "rounds": 2},
    "unlearning": {"count": 10},
    "attack": {"name": "igf", "beta": 0, "epochs": 1, "width": 8, "components": 8},
    "scoring": {"bootstrap": 10},
}
_OBSERVATION = {"retained": 4, "forgotten": 1}


def config() -> AuditConfig:
    """Return the configuration of an audit of about a second that has every stage."""
    return build_config(CONFIG)


def make_artifacts(folder: Path) -> None:
    """Make the artifacts of the attacks next to the run folder, unless they exist.

    Args:
        folder: The run folder.
    """
    from palimpsest.pipeline.audit import audit

    artifacts = folder.parent / "artifacts"
    if not (artifacts / "metrics.json").exists():
        attack = {"name": "dragd", "iterations": 2}
        audit(build_config({**CONFIG, "attack": attack, "observation": _OBSERVATION}), out=artifacts)


def _audit(folder: Path) -> None:
    from palimpsest.pipeline.audit import audit

    audit(config(), out=folder)


def _attack(folder: Path, **keys: Any) -> None:
    from palimpsest.artifacts import read_artifacts_config
    from palimpsest.pipeline.attack import attack

    artifacts = folder.parent / "artifacts"
    models = {name: artifacts / f"{name}.safetensors" for name in ("original", "unlearned")}
    common = {"model": "lenet", "auxiliary": "digits", "auxiliary_size": 100, "scoring": CONFIG["scoring"]}
    attack(read_artifacts_config(None, {**common, **models, **keys}), out=folder)


def _attack_proofs(folder: Path) -> None:
    proofs = folder.parent / "artifacts" / "proofs.safetensors"
    _attack(folder, proofs=proofs, attack=CONFIG["attack"])


def _attack_gradients(folder: Path) -> None:
    gradients = folder.parent / "artifacts" / "observation.safetensors"
    attack = {"name": "dragd", "iterations": 5, "labels": "optimized"}
    _attack(folder, gradients=gradients, observation=_OBSERVATION, attack=attack)


def _sweep(folder: Path) -> None:
    from palimpsest.pipeline.sweep import read_grid, sweep

    sweep(read_grid("digits", {"attack.epochs": [1, 2], "seed": [1]}, CONFIG), out=folder)


WORKLOADS: dict[str, Callable[[Path], None]] = {
    "audit": _audit,
    "attack on proofs": _attack_proofs,
    "attack on gradients": _attack_gradients,
    "sweep": _sweep,
}
"""Functions that a process runs in a run folder until it finishes or is killed, by name."""
