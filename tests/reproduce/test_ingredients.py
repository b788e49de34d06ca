"""The grid of ingredients on tiny data."""

import dataclasses
from pathlib import Path
from typing import Any

from tests.reproduce.test_dragd import TINY

from palimpsest.config import merged
from palimpsest.registry import ATTACKS
from palimpsest.reproduce import Cell, reproduce
from palimpsest.reproduce.ingredients import STUDIES

STUDY = STUDIES["dragd-ingredients"]


def test_the_grid_has_each_combination_once() -> None:
    cells = STUDY.cells()
    assert len({cell.name for cell in cells}) == len(cells) == 3 * 4 * 2 * 3
    attacks = {cell.name: cell.config({}, seed=1).attack.build() for cell in cells}
    assert attacks["mnist-two-mean-spectrum"] == ATTACKS.get("dragd")(
        prior="mean", space="spectrum", control_size=0
    )
    assert attacks["lfw-one-noise-pixels"].prior is None


def test_the_table_ends_with_paired_differences(tmp_path: Path) -> None:
    def small(cell: Cell) -> Cell:
        changes: dict[str, Any] = merged(cell.changes, TINY)
        return dataclasses.replace(cell, changes=changes)

    study = dataclasses.replace(STUDY, cells=lambda: [small(cell) for cell in STUDY.cells()])
    names = ["mnist-one-mean-box", "mnist-joint-mean-box"]
    reproduce(study, out=tmp_path, cells=names, seeds=(1, 2), command="palimpsest reproduce")
    table = (tmp_path / "dragd-ingredients.md").read_text()
    assert "mnist, mean, box: the MSE of joint minus that of one is " in table
    assert "2 seeds, p = " in table
