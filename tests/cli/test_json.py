"""The flags `--json`, `--log`, `--track` and `--quiet` across commands."""

import json
from pathlib import Path

import pytest
import torch
from tests.support.command_line import json_lines, run

from palimpsest.proofs import Proofs, save_proofs

TINY = """
data: {name: digits, auxiliary_size: 60}
model: {name: lenet}
federation: {clients: 4, fraction: 0.5, rounds: 2}
unlearning: {count: 12}
attack: {name: igf, beta: 0, epochs: 2, width: 16}
scoring: {bootstrap: 50}
"""


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


def test_audit_with_json_log_and_tracker(
    preset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    folder, log = tmp_path / "run", tmp_path / "all.log"
    arguments = ("audit", preset, "--out", folder, "--json", "--log", log, "--track", "tensorboard")
    assert run(*arguments) == 0
    first, *events, result = json_lines(capsys)
    assert first == {"event": "run", "folder": str(folder)}
    stages = [event["stage"] for event in events if event["event"] == "stage"]
    assert stages[:2] == ["original", "unlearned"]
    assert result["event"] == "result"
    assert result["metrics"] == json.loads((folder / "metrics.json").read_text())
    assert Path(result["report"]).is_file()
    assert log.read_text() == (folder / "log.txt").read_text()
    for stage in stages:
        assert stage in log.read_text()

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert len(events.Scalars("inverter/train inverter/loss")) == 2
    assert events.Scalars("reconstruction/mse")[0].value == pytest.approx(
        result["metrics"]["reconstruction"]["mse"], rel=1e-5
    )

    assert run("audit", preset, "--out", folder, "--quiet") == 0
    assert capsys.readouterr().out == ""
    assert "kept" in (folder / "log.txt").read_text()

    for command in (("runs", folder), ("compare", folder, "--out", tmp_path / "c"), ("report", folder)):
        assert run(*command, "--json") == 0
        (only,) = json_lines(capsys)
        assert only["event"] == "result"
    assert run("purge", folder, "--json") == 0
    (only,) = json_lines(capsys)
    assert {"tensorboard", "log.txt"} <= set(only["purged"][str(folder)]["removed"])


def test_proof_commands_with_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, defended = tmp_path / "proofs.safetensors", tmp_path / "defended.safetensors"
    save_proofs(path, Proofs(torch.eye(3, 7), {}))
    assert run("defend", path, "--with", "sign", "--out", defended, "--json") == 0
    (only,) = json_lines(capsys)
    assert (only["count"], only["dimension"]) == (3, 7)
    assert run("verify", path, "--tau", "0.5", "--json") == 3
    (only,) = json_lines(capsys)
    assert only["accepted"] == [False] * 3
    assert only["norms"] == [1.0] * 3
    assert run("presets", "--json") == 0
    (only,) = json_lines(capsys)
    assert "digits" in [preset["name"] for preset in only["presets"]]
