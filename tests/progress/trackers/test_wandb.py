from pathlib import Path

import pytest
from tests.support.trackers import track_offline


def test_wandb_records_a_run_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    track_offline("wandb", tmp_path, WANDB_MODE="offline")
    (record,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    content = record.read_bytes()
    assert b"inverter/train/loss" in content
    assert b"reconstruction/mse" in content
    assert b"31337" not in content
