"""Every study's command, in small: the cells' own presets on the embedded digits, a few rounds and epochs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from palimpsest.config import read_config
from palimpsest.errors import ConfigurationError
from palimpsest.reproduce import STUDIES, Cell, Study, reproduce
from palimpsest.reproduce import run as run_module

TINY: dict[str, Any] = {
    "data": {"name": "digits", "auxiliary_size": 40, "train_size": 200},
    "model": {"name": "convnet", "width": 4},
    "federation": {"clients": 4, "fraction": 1.0, "rounds": 1},
    "unlearning": {"count": 10},
    "attack": {"epochs": 1, "queries": 2, "components": 10, "width": 8, "batch_size": 32, "beta": 0},
    "scoring": {"bootstrap": 20},
}


@pytest.fixture
def audits(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders of the audits that were run, in order."""
    folders: list[Path] = []
    real = run_module.audit

    def counted(*args: Any, out: Path, **settings: Any) -> Any:
        folders.append(out)
        return real(*args, out=out, **settings)

    monkeypatch.setattr(run_module, "audit", counted)
    return folders


def tiny(study: Study) -> Study:
    """The same cells by name, with what makes them long taken away, whatever a cell itself asks for."""

    def small(cell: Cell) -> dict[str, Any]:
        changes = cell.changes
        attack = {**TINY["attack"], **changes.get("attack", {}), "epochs": 1, "width": 8}
        if attack.get("name") == "lti":
            attack = {key: value for key, value in attack.items() if key not in ("width", "blocks")}
        attack |= {"components": 10 if attack.get("components") else attack.get("components")}
        attack |= {"beta": 0} if "beta" in attack else {}
        if attack.get("name") in ("igf-plus", "igf-white") and attack["components"] is None:
            attack["components"] = 0
        few = dict(TINY)
        if read_config(cell.preset).unlearning.scenario != "sample":
            del few["unlearning"]
        kept = {key: one for key, one in changes.items() if key not in ("attack", "data")}
        return {**few, **kept, "attack": attack}

    cells = [
        Cell(one.name, one.preset, small(one), one.published, one.size, one.position) for one in study.cells()
    ]
    return replace(study, cells=lambda: cells)


SMALL = [name for name in STUDIES if name.startswith("igf") and name not in ("igf-table1", "igf-ablation")]


@pytest.mark.parametrize("name", SMALL)
def test_each_study_makes_its_table_and_picture(name: str, tmp_path: Path) -> None:
    study = tiny(STUDIES[name])
    summaries = reproduce(study, out=tmp_path, command="palimpsest reproduce ...")
    assert [summary.failure for summary in summaries] == [""] * len(summaries)
    table = (tmp_path / f"{name}.md").read_text()
    for cell in study.cells():
        assert f"| {cell.name} |" in table
    tree = json.loads((tmp_path / f"{name}.json").read_text())
    assert len(tree["cells"]) == len(summaries)
    assert all(0 < cell["scores"]["mse"]["mean"] < 1 for cell in tree["cells"])
    with Image.open(tmp_path / f"{name}.png") as image:
        image.load()
    assert (tmp_path / f"{name}.svg").stat().st_size > 1000


def test_every_scenario_and_method_of_table_1(tmp_path: Path) -> None:
    study = tiny(STUDIES["igf-table1"])
    summaries = reproduce(study, out=tmp_path, cells=["cifar10-convnet-*"])
    assert len(summaries) == 6
    assert all(summary.scores["mse"].mean > 0 for summary in summaries)


def test_ingredients_are_switched_cell_by_cell(tmp_path: Path) -> None:
    study = tiny(STUDIES["igf-ablation"])
    names = ["igf-plus", "signs-alone", "matching", "igf-white-matching"]
    summaries = reproduce(study, out=tmp_path, cells=names)
    assert [summary.failure for summary in summaries] == [""] * len(names)
    assert [summary.cell.name for summary in summaries] == names


def test_finished_cells_are_not_computed_again_and_seeds_are_added(
    tmp_path: Path, audits: list[Path]
) -> None:
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
    assert len(audits) == 4, "the cell's own batch size wins, and nothing has changed"
    reproduce(study, out=tmp_path, seeds=[1], overrides={"federation": {"local_epochs": 2}}, cells=["in-*"])
    assert len(audits) == 5


def test_cells_share_the_training_that_they_have_in_common(tmp_path: Path) -> None:
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


def test_a_cell_that_can_not_be_computed_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    good = Cell("good", "digits", TINY)
    bad = Cell("bad", "digits", {**TINY, "unlearning": {"count": 10_000}})
    study = Study("study", "A title", "A source", lambda: [bad, good])
    failed, done = reproduce(study, out=tmp_path)
    assert "10,000 samples" in failed.failure
    assert done.seeds == (1234,)
    assert failed.failure in (tmp_path / "study.md").read_text()


def test_an_unknown_cell_is_refused_before_any_work(tmp_path: Path, audits: list[Path]) -> None:
    with pytest.raises(ConfigurationError, match="no cell 'nothing'"):
        reproduce(STUDIES["igf-table4"], out=tmp_path, cells=["nothing"])
    assert audits == []
