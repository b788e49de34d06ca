import json
from pathlib import Path

import pytest

from palimpsest.cli import main
from palimpsest.config import read_config


def run(*arguments: object) -> int:
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, mse in (("one", 0.02), ("two", None)):
        place = tmp_path / "runs" / name
        place.mkdir(parents=True)
        config = read_config("digits").model_dump(mode="json")
        manifest = {"config": config, "versions": {}, "threads": 1, "stages": {}}
        (place / "manifest.json").write_text(json.dumps(manifest))
        if mse:
            scores = {"mse": mse, "identification_top1": 0.5, "identification_top5": 1.0, "count": 10}
            metrics = {"attack": {}, "seconds": {}, "reconstruction": scores}
            (place / "metrics.json").write_text(json.dumps(metrics))
    return tmp_path / "runs"


def test_runs_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("runs", folder) == 0
    told = capsys.readouterr().out
    assert "0.0200" in told
    assert "stopped" in told
    assert run("runs", folder.parent / "nothing") == 0
    assert "palimpsest audit" in capsys.readouterr().out


def test_runs_are_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder.parent / "comparison"
    assert run("compare", folder / "one", folder / "two", "--out", out) == 0
    assert "| one | 0.0200 |" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {
        f"comparison.{kind}" for kind in ("md", "csv", "json", "html")
    }
    assert run("compare", folder.parent / "comparison", "--out", out) == 2


def test_a_report_is_rendered_again_only_where_there_is_one(folder: Path, capsys) -> None:
    assert run("report", folder / "one") == 2
    assert "has no report" in capsys.readouterr().err


def test_the_list_of_runs_fits_a_terminal_of_eighty_columns(
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
    heading, numbers, what = capsys.readouterr().out.splitlines()
    assert heading.split() == ["run", "MSE", "told", "apart", "seconds"]
    assert numbers.split() == ["igf-table1/cifar10-convnet-retrain-sample/seed-1", "0.0200", "100.0%", "0"]
    assert what.strip() == "igf on cifar10, defended with orthogonal"
    sure = {"intervals": {"identification_top1": [0.9, 1.0]}, "chance": {"identification_top1": 0.01}}
    (place / "metrics.json").write_text(json.dumps(metrics | sure))
    assert run("runs", tmp_path) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert told.endswith("defended with orthogonal; told apart 90.0% to 100.0%, chance 1.0%")
