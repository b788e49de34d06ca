import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.command_line import run

from palimpsest.config import read_config


def test_lists_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("runs", folder) == 0
    output = capsys.readouterr().out
    assert "0.0200" in output
    assert "stopped" in output
    assert run("runs", folder.parent / "nothing") == 0
    assert "palimpsest audit" in " ".join(capsys.readouterr().out.split())


def test_list_fits_eighty_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    place = tmp_path / "igf-table1" / "cifar10-convnet-retrain-sample" / "seed-1"
    place.mkdir(parents=True)
    config = read_config("cifar10-convnet-retrain-sample", {"defenses": [{"name": "orthogonal"}]})
    manifest = {"config": config.model_dump(mode="json"), "versions": {}, "threads": 1, "stages": {}}
    (place / "manifest.json").write_text(json.dumps(manifest))
    scores = {"mse": 0.02, "identification_top1": 1.0, "identification_top5": 1.0, "count": 10}
    metrics = {"attack": {}, "seconds": {}, "reconstruction": scores}
    (place / "metrics.json").write_text(json.dumps(metrics))
    assert run("runs", tmp_path) == 0
    heading, numbers, summary = capsys.readouterr().out.splitlines()
    assert heading.split() == ["run", "MSE", "identified", "seconds"]
    assert numbers.split() == ["igf-table1/cifar10-convnet-retrain-sample/seed-1", "0.0200", "100.0%", "0"]
    assert summary.strip() == "igf on cifar10, defended with orthogonal"
    scored = {"intervals": {"identification_top1": [0.9, 1.0]}, "chance": {"identification_top1": 0.01}}
    (place / "metrics.json").write_text(json.dumps(metrics | scored))
    assert run("runs", tmp_path) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert output.endswith("defended with orthogonal; identified 90.0% to 100.0%, chance 1.0%")


_LIST = """
import sys
from palimpsest.cli import main
try:
    main(["runs", sys.argv[1]])
finally:
    print("torch" in sys.modules)
"""


def test_a_list_needs_no_torch(folder: Path) -> None:
    command = [sys.executable, "-c", _LIST, str(folder)]
    output = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert "0.0200" in output
    assert output.endswith("False\n")
