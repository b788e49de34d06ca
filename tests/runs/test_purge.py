"""Purging removes what is sensitive and keeps the scores."""

import json
import os
from pathlib import Path

import pytest
import torch
from fuzz.workloads import CONFIG, config

from palimpsest.cli import main
from palimpsest.config import build_config, read_config
from palimpsest.datasets import load_data
from palimpsest.errors import RunError
from palimpsest.pipeline.audit import audit
from palimpsest.runs import purge
from palimpsest.runs.folder import lock_folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run with a link to another folder and unfinished work."""
    configuration = build_config(
        {**CONFIG, "unlearning": {"indices": [3, 5, 8, 13]}, "defenses": [{"name": "sign"}]}
    )
    folder = audit(configuration, out=tmp_path / "run").folder
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "letter").write_text("dear")
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / ".unfinished" / "train").mkdir(parents=True)
    (folder / ".unfinished" / "train" / "rounds.safetensors").write_bytes(b"weights")
    (folder / "something-new.safetensors").write_bytes(b"pixels")
    return folder


def test_keeps_only_scores_and_settings(run: Path, tmp_path: Path) -> None:
    metrics = (run / "metrics.json").read_bytes()
    result = purge(run)
    left = {path.name for path in run.iterdir()}
    assert left == {
        ".lock",
        "permutation-test.safetensors",
        "config.yaml",
        "manifest.json",
        "metrics.json",
        "forgetting.safetensors",
        "scores.safetensors",
        "scores-control.safetensors",
        "scores-linkage.safetensors",
        "scores-non-adaptive.safetensors",
        "scores-undefended.safetensors",
        "soundness.safetensors",
        "verdicts.safetensors",
    }
    assert set(result.kept) == left
    assert {"original.safetensors", "proofs.safetensors", "report.html", "link", ".unfinished"} | {
        "evidence.html",
        "evidence.json",
    } <= set(result.removed)
    assert (run / "metrics.json").read_bytes() == metrics
    assert (tmp_path / "outside" / "letter").read_text() == "dear"
    assert purge(run).removed == ()


def test_removes_every_image_and_index_of_a_forgotten_row(run: Path) -> None:
    images = load_data(config().data, clients=4, seed=1234).train.images[torch.tensor([3, 5, 8, 13])]
    purge(run)
    for path in run.iterdir():
        content = path.read_bytes()
        for image in images:
            assert image.numpy().tobytes() not in content
            assert (image * 255).byte().numpy().tobytes() not in content
    kept = read_config(run / "config.yaml")
    assert (kept.unlearning.indices, kept.unlearning.count) == (None, 4)
    assert "13" not in json.dumps(json.loads((run / "manifest.json").read_text())["config"]["unlearning"])


def test_dry_run_removes_nothing(run: Path) -> None:
    before = sorted(run.rglob("*"))
    assert "original.safetensors" in purge(run, dry_run=True).removed
    assert sorted(run.rglob("*")) == before


def test_names_files_that_another_run_shares(run: Path, tmp_path: Path) -> None:
    (tmp_path / "other").hardlink_to(run / "original.safetensors")
    assert purge(run).shared == ("original.safetensors",)
    assert (tmp_path / "other").exists()


def test_purges_the_runs_and_the_plots_of_a_study(run: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    (study / "cell").mkdir(parents=True)
    run.rename(study / "cell" / "seed-1")
    for name in ("study.json", "study.md", "study.png", "study.svg", "mine.png"):
        (study / name).write_text("drawn")
    expected = purge(study, dry_run=True)
    assert (study / "study.png").exists()
    result = purge(study)
    assert result == expected
    assert {"cell/seed-1/proofs.safetensors", "study.png", "study.svg"} <= set(result.removed)
    assert {path.name for path in study.iterdir()} == {"study.json", "study.md", "mine.png", "cell"}
    assert not (study / "cell" / "seed-1" / "proofs.safetensors").exists()
    assert "cell/seed-1/metrics.json" in result.kept


@pytest.mark.parametrize("content", [None, "{}", '{"format": 7}'])
def test_rejects_a_folder_that_holds_no_run(tmp_path: Path, content: str | None) -> None:
    (tmp_path / "letter").write_text("dear")
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(RunError):
        purge(tmp_path)
    assert (tmp_path / "letter").read_text() == "dear"


def test_rejects_a_run_that_is_in_use(run: Path) -> None:
    lock = lock_folder(run)
    try:
        with pytest.raises(RunError, match="Another process"):
            purge(run)
    finally:
        os.close(lock)
    assert (run / "original.safetensors").exists()


def test_command_reports_what_it_removed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flag, verb, left in (("--dry-run", "would remove", True), ("", "removed", False)):
        with pytest.raises(SystemExit) as stop:
            main([word for word in ["purge", str(run), flag] if word])
        assert stop.value.code in (0, None)
        assert f"{run}: {verb} " in capsys.readouterr().out
        assert (run / "proofs.safetensors").exists() == left
