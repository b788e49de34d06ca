import json
from pathlib import Path

import pytest

from palimpsest.comparison import as_markdown, find_runs, read_run
from palimpsest.errors import RunError


def test_reads_settings_and_scores(runs: list[Path]) -> None:
    run = read_run(runs[1])
    assert run.what == {
        "data": "digits",
        "model": "convnet",
        "unlearning": "sample, retrain",
        "defenses": "prune (ratio 0.5)",
        "attack": "igf",
        "seed": "1",
    }
    assert run.values == {
        "mse": 0.02,
        "psnr": 17.0,
        "ssim": 0.5,
        "top1": 0.5,
        "accuracy": 0.6,
        "linked": 0.9,
    }
    assert run.intervals == {"mse": (0.01, 0.03), "accuracy": (0.5, 0.7), "linked": (0.8, 1)}
    assert run.chances == {"top1": 0.1, "accuracy": 0.1, "linked": 0.1}
    assert (run.seconds, run.finished) == (3.0, True)


def test_finds_runs_ordered_by_path(runs: list[Path], tmp_path: Path) -> None:
    assert list(find_runs(tmp_path)) == runs
    assert list(find_runs(runs[0])) == runs[:1]


def test_reads_an_unfinished_run(runs: list[Path]) -> None:
    (runs[0] / "metrics.json").unlink()
    run = read_run(runs[0])
    assert not run.finished
    assert run.values == {}
    assert "–" in as_markdown([run, read_run(runs[1])])


def test_rejects_folders_that_are_not_runs(tmp_path: Path, runs: list[Path]) -> None:
    with pytest.raises(RunError, match="holds no run"):
        read_run(tmp_path)
    for text in ("{", "[" * 100_000, '{"a": NaN}'):
        (runs[0] / "metrics.json").write_text(text)
        with pytest.raises(RunError, match="is damaged"):
            read_run(runs[0])
    (runs[1] / "manifest.json").write_text(
        json.dumps({"config": {}, "versions": {}, "threads": 1, "stages": {}})
    )
    with pytest.raises(RunError, match="not hold the configuration of a run"):
        read_run(runs[1])


@pytest.mark.parametrize("tree", [[], {"reconstruction": []}, {"reconstruction": {"mse": 10**400}}])
def test_rejects_metrics_of_another_schema(runs: list[Path], tree: object) -> None:
    (runs[0] / "metrics.json").write_text(json.dumps(tree))
    with pytest.raises(RunError, match=r"metrics\.json is damaged or of another version"):
        read_run(runs[0])
