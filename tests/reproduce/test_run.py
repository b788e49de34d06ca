"""Running, reusing and sharing of a study's cells."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.studies import TINY, tiny, tiny_study

from palimpsest.errors import ConfigurationError
from palimpsest.reproduce import STUDIES, Cell, Study, reproduce
from palimpsest.reproduce import run as run_module

audit_module = importlib.import_module("palimpsest.pipeline.audit")
federation_side = importlib.import_module("palimpsest.pipeline.stages.federate")


@pytest.fixture
def audits(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Record the folders of the audits that were run, in order."""
    folders: list[Path] = []
    real = run_module.audit

    def counted(*args: Any, out: Path, **settings: Any) -> Any:
        folders.append(out)
        return real(*args, out=out, **settings)

    monkeypatch.setattr(run_module, "audit", counted)
    return folders


def test_finished_cells_are_reused_and_seeds_added(tmp_path: Path, audits: list[Path]) -> None:
    study = tiny(STUDIES["igf-table4"])
    reproduce(study, out=tmp_path, seeds=[1])
    assert len(audits) == 2
    reproduce(study, out=tmp_path, seeds=[1])
    assert len(audits) == 2
    first, _ = reproduce(study, out=tmp_path, seeds=[1, 2])
    assert len(audits) == 4
    assert first.seeds == (1, 2)
    assert first.scores["mse"].low < first.scores["mse"].mean < first.scores["mse"].high
    reproduce(study, out=tmp_path, seeds=[1], overrides={"attack": {"batch_size": 16}})
    assert len(audits) == 4, "the cell's own batch size wins, so nothing has changed"
    reproduce(study, out=tmp_path, seeds=[1], overrides={"federation": {"local_epochs": 2}}, cells=["in-*"])
    assert len(audits) == 5


def test_cells_share_a_common_training(tmp_path: Path) -> None:
    study = tiny(STUDIES["igf-table2"])
    reproduce(study, out=tmp_path, cells=["none", "sign"])
    first, second = (tmp_path / name / "seed-1234" / "original.safetensors" for name in ("none", "sign"))
    assert first.stat().st_ino == second.stat().st_ino
    manifests = [
        json.loads((path.parent / "manifest.json").read_text())["stages"] for path in (first, second)
    ]
    for stage in ("original", "unlearned", "forgetting", "proofs"):
        assert manifests[0][stage] == manifests[1][stage]
    assert manifests[0]["reconstructions"] != manifests[1]["reconstructions"]


def test_a_failed_cell_is_reported_and_the_others_continue(tmp_path: Path) -> None:
    good = Cell("good", "digits", TINY)
    bad = Cell("bad", "digits", {**TINY, "unlearning": {"count": 10_000}})
    study = Study("study", "A title", "A source", lambda: [bad, good])
    failed, done = reproduce(study, out=tmp_path)
    assert "10,000 samples" in failed.failure
    assert done.seeds == (1234,)
    assert failed.failure in (tmp_path / "study.md").read_text()


def test_rejects_an_unknown_cell_before_any_work(tmp_path: Path, audits: list[Path]) -> None:
    with pytest.raises(ConfigurationError, match="no cell 'nothing'"):
        reproduce(STUDIES["igf-table4"], out=tmp_path, cells=["nothing"])
    assert audits == []


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record an item for every federation that is trained."""
    counted: list[int] = []
    real = federation_side.train

    def train(*args: Any, **settings: Any) -> Any:
        counted.append(1)
        return real(*args, **settings)

    monkeypatch.setattr(federation_side, "train", train)
    return counted


def test_an_interrupted_replacement_is_not_mistaken_for_the_old_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = tiny_study("study", cell={})
    other = {"verification": {"quantile": 0.5}}
    reproduce(one, out=tmp_path)
    metrics = tmp_path / "cell" / "seed-1234" / "metrics.json"
    first = json.loads(metrics.read_text())["verification"]["tau"]
    with monkeypatch.context() as killed:

        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        killed.setattr(audit_module, "train_original", stop)
        with pytest.raises(KeyboardInterrupt):
            reproduce(one, out=tmp_path, overrides=other)
    reproduce(one, out=tmp_path, overrides=other)
    assert json.loads(metrics.read_text())["verification"]["tau"] < first


def test_studies_in_folders_of_their_names_share_stages(tmp_path: Path, trainings: list[int]) -> None:
    reproduce(tiny_study("first", cell={}), out=tmp_path / "first")
    (tmp_path / "first" / "cell" / "seed-1").mkdir()
    (tmp_path / "first" / "cell" / "seed-1" / "metrics.json").write_text("{}")
    (tmp_path / "first" / "cell" / "seed-1" / "manifest.json").write_text("damaged")
    second = tiny_study("second", another={"defenses": [{"name": "sign"}]})
    reproduce(second, out=tmp_path / "second")
    assert len(trainings) == 1
    reproduce(second, out=tmp_path / "elsewhere")
    assert len(trainings) == 2, "a folder of another name shares no stages"


def test_a_method_that_needs_the_clients_updates_trains_in_each_cell(tmp_path: Path) -> None:
    eraser = tiny_study(
        "study",
        ten={"unlearning": {"count": 10, "method": "federaser"}},
        twenty={"unlearning": {"count": 20, "method": "federaser"}},
    )
    assert [summary.failure for summary in reproduce(eraser, out=tmp_path)] == ["", ""]


def test_a_failure_message_stays_in_its_table_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise run_module.PalimpsestError("One | two\nlines.")

    monkeypatch.setattr(run_module, "audit", fail)
    reproduce(tiny_study("study", cell={}), out=tmp_path)
    assert "| cell | One \\| two lines. |\n" in (tmp_path / "study.md").read_text()
