"""Studies of IGF's tables and figures on tiny data."""

import json
from pathlib import Path

import pytest
from PIL import Image
from tests.support.studies import tiny

from palimpsest.attacks import IGFPlus
from palimpsest.reproduce import STUDIES, reproduce

SMALL = [name for name in STUDIES if name.startswith("igf") and name not in ("igf-table1", "igf-ablation")]


@pytest.mark.parametrize("name", SMALL)
def test_each_study_writes_its_table_and_figure(name: str, tmp_path: Path) -> None:
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


def test_ablation_cells_run(tmp_path: Path) -> None:
    study = tiny(STUDIES["igf-ablation"])
    names = ["igf-plus", "signs-alone", "matching", "igf-white-matching"]
    summaries = reproduce(study, out=tmp_path, cells=names)
    assert [summary.failure for summary in summaries] == [""] * len(names)
    assert [summary.cell.name for summary in summaries] == names


def test_each_ablation_differs_in_the_attack_only() -> None:
    whole, *others = STUDIES["igf-ablation"].cells()
    reference = whole.config({}, seed=1)
    assert reference.attack.build() == IGFPlus(queries=4, width=96, matching=0, control_size=0, patience=None)
    for cell in others:
        config = cell.config({}, seed=1)
        assert config.model_copy(update={"attack": reference.attack}) == reference
        assert config.attack != reference.attack


def test_ablations_of_the_queries_take_the_same_number_of_steps() -> None:
    cells = {cell.name: cell.config({}, seed=1).attack.build() for cell in STUDIES["igf-ablation"].cells()}
    for name in ("auxiliary-images-alone", "mirrored-queries", "more-queries"):
        assert (
            cells[name].queries * cells[name].epochs
            == 16
            == cells["igf-plus"].queries * cells["igf-plus"].epochs
        )
