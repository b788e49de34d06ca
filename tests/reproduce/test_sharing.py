"""What runs may take from each other, and what they must not: two cells on a small share of the digits."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from palimpsest.reproduce import Cell, Study, reproduce
from palimpsest.reproduce import run as run_module

audit_module = importlib.import_module("palimpsest.pipeline.audit")
federation_side = importlib.import_module("palimpsest.pipeline.stages.federate")

TINY: dict[str, Any] = {
    "data": {"name": "digits", "auxiliary_size": 40, "train_size": 200},
    "model": {"name": "convnet", "width": 4},
    "federation": {"clients": 4, "fraction": 1.0, "rounds": 1},
    "unlearning": {"count": 10},
    "attack": {"epochs": 1, "queries": 1, "components": 8, "width": 8, "beta": 0},
    "scoring": {"bootstrap": 10},
}


def study(name: str, **cells: dict[str, Any]) -> Study:
    made = [Cell(cell, "digits", {**TINY, **changes}) for cell, changes in cells.items()]
    return Study(name, "A title", "A source", lambda: made)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with every federation that is trained."""
    counted: list[int] = []
    real = federation_side.train

    def train(*args: Any, **settings: Any) -> Any:
        counted.append(1)
        return real(*args, **settings)

    monkeypatch.setattr(federation_side, "train", train)
    return counted


def test_a_replacement_that_was_killed_is_not_taken_for_the_run_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = study("study", cell={})
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


def test_a_study_takes_stages_from_another_in_a_folder_of_its_name(
    tmp_path: Path, trainings: list[int]
) -> None:
    reproduce(study("first", cell={}), out=tmp_path / "first")
    (tmp_path / "first" / "cell" / "seed-1").mkdir()
    (tmp_path / "first" / "cell" / "seed-1" / "metrics.json").write_text("{}")
    (tmp_path / "first" / "cell" / "seed-1" / "manifest.json").write_text("damaged")
    second = study("second", another={"defenses": [{"name": "sign"}]})
    reproduce(second, out=tmp_path / "second")
    assert len(trainings) == 1
    reproduce(second, out=tmp_path / "elsewhere")
    assert len(trainings) == 2, "a folder of another name asks for runs of its own"


def test_a_method_that_needs_the_clients_updates_trains_in_each_cell(tmp_path: Path) -> None:
    eraser = study(
        "study",
        ten={"unlearning": {"count": 10, "method": "federaser"}},
        twenty={"unlearning": {"count": 20, "method": "federaser"}},
    )
    assert [summary.failure for summary in reproduce(eraser, out=tmp_path)] == ["", ""]


def test_a_failures_sentence_stays_in_its_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise run_module.PalimpsestError("One | two\nlines.")

    monkeypatch.setattr(run_module, "audit", fail)
    reproduce(study("study", cell={}), out=tmp_path)
    assert "| cell | One \\| two lines. |\n" in (tmp_path / "study.md").read_text()
