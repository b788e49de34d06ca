"""Handmade run folder for tests of tables and comparisons."""

import json
from pathlib import Path

from palimpsest.config import read_config

METRICS = {
    "attack": {},
    "seconds": {},
    "reconstruction": {
        "mse": 0.02,
        "psnr": 17.0,
        "ssim": 0.5,
        "lpips": None,
        "identification_top1": 0.5,
        "identification_top5": 0.9,
        "count": 10,
    },
    "intervals": {"mse": [0.01, 0.03]},
    "chance": {"identification_top1": 0.1},
    "federation": {"original_accuracy": 0.7, "unlearned_accuracy": 0.6, "participation": [1], "faults": 0},
    "rates": {
        "accuracy_test_unlearned": {"value": 0.6, "low": 0.5, "high": 0.7, "chance": 0.1, "count": 100}
    },
    "linkage": {
        "statistic": "imitation",
        "identified": 0.9,
        "found": [0.5, 0.6],
        "auc": 0.99,
        "chance": 0.1,
        "intervals": [[0.8, 1.0], [0, 1], [0, 1]],
    },
}


def run_folder(folder: Path, **changes) -> Path:
    config = read_config("digits", changes).model_dump(mode="json")
    stage = {"key": "k", "inputs": [], "sha256": "s", "bytes": 1, "seconds": 1.5, "peak_memory_mib": 1}
    manifest = {
        "config": config,
        "versions": {},
        "threads": 1,
        "stages": {"original": stage, "scores": stage},
    }
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    return folder
