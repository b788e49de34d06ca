import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from palimpsest.comparison import as_csv, as_json, as_markdown, find_runs, read_run, run_names, varying_keys
from palimpsest.errors import RunError
from palimpsest.reading import read_config

METRICS = {
    "reconstruction": {"mse": 0.02, "psnr": 17.0, "ssim": 0.5, "lpips": None, "identification_top1": 0.5},
    "intervals": {"mse": [0.01, 0.03]},
    "chance": {"identification_top1": 0.1},
    "federation": {"unlearned_accuracy": 0.6},
    "rates": {
        "accuracy_test_unlearned": {"value": 0.6, "low": 0.5, "high": 0.7, "chance": 0.1, "count": 100}
    },
    "confirmation": {"identified": 0.9, "chance": 0.1, "intervals": [[0.8, 1.0], [0, 1], [0, 1]]},
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


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [
        run_folder(tmp_path / "a" / "seed-1", seed=1),
        run_folder(tmp_path / "b" / "seed-1", seed=1, defenses=[{"name": "prune", "ratio": 0.5}]),
    ]


def test_what_a_run_was_and_what_came_out(runs: list[Path]) -> None:
    run = read_run(runs[1])
    assert run.what == {
        "data": "digits",
        "model": "convnet",
        "unlearning": "sample, retrain",
        "defences": "prune (ratio 0.5)",
        "attack": "igf",
        "seed": "1",
    }
    assert run.values == {
        "mse": 0.02,
        "psnr": 17.0,
        "ssim": 0.5,
        "top1": 0.5,
        "accuracy": 0.6,
        "confirmed": 0.9,
    }
    assert run.intervals == {"mse": (0.01, 0.03), "accuracy": (0.5, 0.7), "confirmed": (0.8, 1)}
    assert run.chances == {"top1": 0.1, "accuracy": 0.1, "confirmed": 0.1}
    assert (run.seconds, run.finished) == (3.0, True)


def test_runs_are_found_and_named_by_what_tells_them_apart(runs: list[Path], tmp_path: Path) -> None:
    assert list(find_runs(tmp_path)) == runs
    assert list(find_runs(runs[0])) == runs[:1]
    compared = [read_run(folder) for folder in runs]
    assert run_names(compared) == ["a", "b"]
    assert varying_keys(compared) == ["defences"]


def test_a_small_error_is_told_by_its_power_of_ten(runs: list[Path]) -> None:
    run = replace(read_run(runs[0]), values={"mse": 1.21e-11}, intervals={"mse": (4.9e-12, 2.3e-11)})
    assert "| 1.2e-11 (4.9e-12 to 2.3e-11) |" in as_markdown([run])


def test_the_table_holds_what_differs(runs: list[Path]) -> None:
    compared = [read_run(folder) for folder in runs]
    table = as_markdown(compared).splitlines()
    assert table[0].startswith("| run | defences | MSE |")
    assert "0.0200 (0.0100 to 0.0300)" in table[2]
    assert "60.0% (50.0% to 70.0%; chance 10.0%)" in table[2]
    assert "50.0% (chance 10.0%)" in table[2]
    assert "LPIPS" not in table[0]
    rows = list(csv.DictReader(io.StringIO(as_csv(compared))))
    assert rows[1]["defences"] == "prune (ratio 0.5)"
    assert (rows[0]["mse"], rows[0]["mse_low"], rows[0]["lpips"]) == ("0.02", "0.01", "")
    tree = as_json(compared)
    assert json.loads(json.dumps(tree)) == tree


def test_an_unfinished_run_is_compared_by_what_it_has(runs: list[Path]) -> None:
    (runs[0] / "metrics.json").unlink()
    run = read_run(runs[0])
    assert not run.finished
    assert run.values == {}
    assert "–" in as_markdown([run, read_run(runs[1])])


def test_what_is_no_run_is_refused(tmp_path: Path, runs: list[Path]) -> None:
    with pytest.raises(RunError, match="holds no run"):
        read_run(tmp_path)
    for text in ("{", "[" * 100_000, '{"a": NaN}'):
        (runs[0] / "metrics.json").write_text(text)
        with pytest.raises(RunError, match="can't be read"):
            read_run(runs[0])
    (runs[1] / "manifest.json").write_text(
        json.dumps({"config": {}, "versions": {}, "threads": 1, "stages": {}})
    )
    with pytest.raises(RunError, match="no configuration of a run"):
        read_run(runs[1])


@pytest.mark.parametrize("tree", [[], {"reconstruction": []}, {"reconstruction": {"mse": 10**400}}])
def test_metrics_of_other_types_are_absent(runs: list[Path], tree: object) -> None:
    (runs[0] / "metrics.json").write_text(json.dumps(tree))
    run = read_run(runs[0])
    assert (run.values, run.intervals) == ({}, {})
    assert as_csv([run])


def test_nothing_in_a_run_commands_the_terminal_or_breaks_the_table(tmp_path: Path) -> None:
    hostile = run_folder(tmp_path / "a\x1b[2J|b", seed=1, data={"name": "x\x1b]0;|y"})
    table = as_markdown([read_run(hostile), read_run(run_folder(tmp_path / "c"))])
    assert "\x1b" not in table
    assert r"a\x1b[2J\|b" in table
    assert r"x\x1b]0;\|y" in table
