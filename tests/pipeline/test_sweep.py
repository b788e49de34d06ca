import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from palimpsest.errors import ConfigurationError, ReproductionError
from palimpsest.pipeline.sweep import read_grid, sweep

TINY: dict[str, Any] = {
    "data": {"name": "digits", "auxiliary_size": 40, "train_size": 200},
    "model": {"name": "convnet", "width": 4},
    "federation": {"clients": 4, "fraction": 1.0, "rounds": 1},
    "unlearning": {"count": 10},
    "attack": {"epochs": 1, "components": 8, "width": 8, "beta": 0},
    "scoring": {"bootstrap": 10},
}


def grid(folder: Path, text: str) -> Path:
    path = folder / "grid.yaml"
    path.write_text(text)
    return path


def test_every_combination_is_a_point(tmp_path: Path) -> None:
    points = read_grid(
        "digits",
        grid(tmp_path, "attack.epochs: [5, 10]\ndefenses: [[], [{name: sign}]]\nseed: [1]"),
        {"federation": {"rounds": 3}},
    )
    assert [point.name for point in points] == [
        "epochs-5_defenses-none_seed-1",
        "epochs-5_defenses-sign_seed-1",
        "epochs-10_defenses-none_seed-1",
        "epochs-10_defenses-sign_seed-1",
    ]
    assert {point.config.federation.rounds for point in points} == {3}
    assert points[3].config.attack.build().epochs == 10
    assert points[3].config.defenses[0].name == "sign"


def test_naming_another_component_leaves_the_first_ones_settings_behind(tmp_path: Path) -> None:
    points = read_grid("digits", grid(tmp_path, "attack.name: [igf, igf-plus]"))
    assert [point.config.attack.name for point in points] == ["igf", "igf-plus"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("attack.epochs: 5", "give a list"),
        ("attack.epochs: []", "at least one"),
        ("attack.epoch: [5]", "epochs"),
        ("attack.epochs: [0]", "greater than 0"),
        ("attack.epochs: {a: 1}", "give a list"),
        ("attack.epochs: [5, 5]", "two combinations have the name 'epochs-5'"),
        (
            "\n".join(f"a{axis}: [1, 2, 3, 4, 5, 6, 7, 8, 9]" for axis in range(20)),
            "12,157,665,459,056,928,801 combinations",
        ),
    ],
)
def test_what_is_not_accepted_is_told_before_any_work(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_grid("digits", grid(tmp_path, text))


def test_a_grid_is_run_and_not_run_again(tmp_path: Path) -> None:
    points = read_grid("digits", grid(tmp_path, "defenses: [[], [{name: sign}]]"), TINY)
    folders = sweep(points, out=tmp_path / "out")
    times = [(folder / "reconstructions.safetensors").stat().st_mtime_ns for folder in folders]
    shared = [(folder / "original.safetensors").stat().st_ino for folder in folders]
    assert shared[0] == shared[1], "both start from one training"
    assert sweep(points, out=tmp_path / "out") == folders
    assert times == [(folder / "reconstructions.safetensors").stat().st_mtime_ns for folder in folders]


def test_one_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    points = read_grid("digits", grid(tmp_path, "unlearning.count: [100000, 10]"), TINY)
    with pytest.raises(ReproductionError, match=r"1 of 2 audits could not be run.*count-100000"):
        sweep(points, out=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "count-10" / "metrics.json").read_text())


def test_ray_runs_the_same_audits(tmp_path: Path) -> None:
    """In a process of its own: Ray leaves others behind for a while."""
    pytest.importorskip("ray")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    path = grid(tmp_path, "seed: [1, 2]")
    here = sweep(read_grid(str(tmp_path / "tiny.yaml"), path), out=tmp_path / "here")
    command = [sys.executable, "-m", "palimpsest", "sweep", str(tmp_path / "tiny.yaml"), str(path)]
    told = subprocess.run(
        [*command, "--engine", "ray", "--out", str(tmp_path / "there")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert "| seed-1 | 1 |" in told.stdout
    for folder in here:
        first, second = (
            json.loads((tmp_path / place / folder.name / "metrics.json").read_text())
            for place in ("here", "there")
        )
        assert first["reconstruction"]["mse"] == pytest.approx(second["reconstruction"]["mse"], rel=1e-3)
    assert (tmp_path / "there" / "comparison.html").is_file()
