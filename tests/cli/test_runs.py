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
            metrics = {"reconstruction": {"mse": mse}, "intervals": {}}
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
