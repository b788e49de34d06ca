"""The study of regimes on tiny data."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from tests.reproduce.test_dragd import TINY

from palimpsest.config import merged
from palimpsest.registry import ATTACKS
from palimpsest.reproduce import Cell, Study, reproduce
from palimpsest.reproduce.regimes import STUDIES, parts

STUDY = STUDIES["dragd-regimes"]


def test_the_grid_has_each_combination_once_with_equal_start_and_coordinates() -> None:
    cells = STUDY.cells()
    assert len({cell.name for cell in cells}) == len(cells) == 13 * 5 * 3
    for cell in cells:
        assert cell.changes["attack"]["prior"] == "mean"
        assert cell.changes["attack"]["space"] == "spectrum"


def test_a_cell_trains_its_network_and_moves_it_by_its_distance() -> None:
    cells = {cell.name: cell for cell in STUDY.cells()}
    config = cells["relu-5-0.1-two"].config({}, seed=1)
    assert parts(cells["relu-5-0.1-two"]) == ("relu-5", "0.1", "two")
    assert (config.federation.rounds, config.federation.momentum) == (5, 0.9)
    assert config.unlearning.build().radius == 0.1
    assert config.attack.build() == ATTACKS.get("dragd")(prior="mean", space="spectrum", control_size=0)
    untrained = cells["sigmoid-0-retrain-joint"].config({}, seed=1)
    assert (untrained.federation.rounds, untrained.unlearning.method) == (1, "retrain")


def small(study: Study) -> Study:
    """Run the same cells on digits with few steps."""

    def changed(cell: Cell) -> Cell:
        changes: dict[str, Any] = merged(cell.changes, TINY)
        return dataclasses.replace(cell, changes=changes)

    return dataclasses.replace(study, cells=lambda: [changed(cell) for cell in study.cells()])


@pytest.mark.parametrize("seeds", [(1,), (1, 2)])
def test_the_table_has_differences_and_the_figure_is_drawn(seeds: tuple[int, ...], tmp_path: Path) -> None:
    names = ["sigmoid-0-0.01-*", "relu-1-retrain-one"]
    cells = reproduce(small(STUDY), out=tmp_path, cells=names, seeds=seeds, command="palimpsest reproduce")
    assert cells[0].columns["parameter distance"].mean == pytest.approx(0.01, rel=1e-3)
    table = (tmp_path / "dragd-regimes.md").read_text()
    assert "sigmoid-0, 0.01: the MSE of joint minus that of one is " in table
    assert ("after Holm's correction" in table) == (len(seeds) > 1)
    assert (tmp_path / "dragd-regimes.png").stat().st_size > 10_000
