import shutil
from pathlib import Path

import pytest
from tests.support.command_line import json_lines, outcome, run


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text("data: {name: digits, auxiliary_size: 60}\n")
    return path


def test_rejects_tracking_on_ray(preset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text("seed: [1]\n")
    assert run("sweep", preset, grid, "--engine", "ray", "--track", "tensorboard") == 2
    assert "can't be tracked" in capsys.readouterr().err


def test_keeps_a_finished_audit(
    finished_audit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = shutil.copytree(finished_audit, tmp_path / "swept" / "epochs-2")
    computed = (kept / "original.safetensors").stat().st_mtime_ns
    grid = tmp_path / "grid.yaml"
    grid.write_text("attack.epochs: [2]\n")
    arguments = "sweep", finished_audit / "config.yaml", grid, "--out", tmp_path / "swept"
    code, output, error = outcome(capsys, *arguments)
    assert (code, error) == (0, "")
    assert "| epochs-2 |" in output
    assert output.splitlines()[-1] == f"Page: {tmp_path / 'swept' / 'comparison.html'}"
    assert (kept / "original.safetensors").stat().st_mtime_ns == computed
    assert run(*arguments, "--json") == 0
    *_, result = json_lines(capsys)
    assert len(result["runs"]) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [("attack.epochs: 5\n", "attack.epochs"), ("attack.epoch: [5]\n", "epoch"), ("[5]\n", "grid.yaml")],
)
def test_rejects_an_invalid_grid_before_any_work(
    text: str, words: str, preset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text(text)
    code, _, error = outcome(capsys, "sweep", preset, grid, "--out", tmp_path / "swept")
    assert code == 2
    assert words in error
    assert not (tmp_path / "swept").exists()
