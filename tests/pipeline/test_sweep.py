import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.forked import ForkServer

from palimpsest.errors import ConfigurationError, ReproductionError
from palimpsest.pipeline.sweep import read_grid, sweep

TINY: dict[str, Any] = {
    "data": {"name": "digits", "auxiliary_size": 40, "train_size": 200},
    "model": {"name": "convnet", "width": 4},
    "federation": {"clients": 4, "fraction": 1.0, "rounds": 1},
    "unlearning": {"count": 10},
    "attack": {"name": "igf", "epochs": 1, "components": 8, "width": 8, "beta": 0},
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


def test_another_component_drops_the_settings_of_the_first(tmp_path: Path) -> None:
    points = read_grid("digits", grid(tmp_path, "attack.name: [igf, igf-plus]"))
    assert [point.config.attack.name for point in points] == ["igf", "igf-plus"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("attack.epochs: 5", "Give a list"),
        ("attack.epochs: []", "at least one"),
        ("attack.epoch: [5]", "epochs"),
        ("attack.epochs: [0]", "greater than 0"),
        ("attack.epochs: {a: 1}", "Give a list"),
        ("attack.epochs: [5, 5]", "two combinations have the name 'epochs-5'"),
        (
            "\n".join(f"a{axis}: [1, 2, 3, 4, 5, 6, 7, 8, 9]" for axis in range(20)),
            "12,157,665,459,056,928,801 combinations",
        ),
    ],
)
def test_rejects_an_invalid_grid_before_any_audit(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_grid("digits", grid(tmp_path, text))


def test_a_finished_grid_is_not_run_again(tmp_path: Path) -> None:
    points = read_grid("digits", grid(tmp_path, "defenses: [[], [{name: sign}]]"), TINY)
    folders = sweep(points, out=tmp_path / "out")
    times = [(folder / "reconstructions.safetensors").stat().st_mtime_ns for folder in folders]
    shared = [(folder / "original.safetensors").stat().st_ino for folder in folders]
    assert shared[0] == shared[1], "both audits share one training"
    assert sweep(points, out=tmp_path / "out") == folders
    assert times == [(folder / "reconstructions.safetensors").stat().st_mtime_ns for folder in folders]


def test_a_failed_audit_does_not_stop_the_others(tmp_path: Path) -> None:
    points = read_grid("digits", grid(tmp_path, "unlearning.count: [100000, 10]"), TINY)
    with pytest.raises(ReproductionError, match=r"1 of 2 audits could not be run.*count-100000"):
        sweep(points, out=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "count-10" / "metrics.json").read_text())


def test_ray_runs_the_same_audits(tmp_path: Path, forked: ForkServer) -> None:
    """Use a separate process, because Ray's processes linger for a while."""
    pytest.importorskip("ray")
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(TINY))
    path = grid(tmp_path, "seed: [1, 2]")
    folders = sweep(read_grid(str(tmp_path / "tiny.yaml"), path), out=tmp_path / "here")
    command = ["-m", "palimpsest", "sweep", str(tmp_path / "tiny.yaml"), str(path), "--engine", "ray"]
    process = forked.run(*command, "--out", str(tmp_path / "there"), folder=tmp_path)
    assert process.returncode == 0, process.stderr
    assert "| run | verdict | seed |" in process.stdout
    assert re.search(r"\| seed-1 \| [a-z ]+ \| 1 \|", process.stdout)
    for folder in folders:
        first, second = (
            json.loads((tmp_path / place / folder.name / "metrics.json").read_text())
            for place in ("here", "there")
        )
        assert first["reconstruction"]["mse"] == pytest.approx(second["reconstruction"]["mse"], rel=1e-3)
    assert (tmp_path / "there" / "comparison.html").is_file()
