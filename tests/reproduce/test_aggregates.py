"""The study of aggregated proofs on tiny data."""

import dataclasses
from pathlib import Path

from tests.support.studies import TINY

from palimpsest.config import merged
from palimpsest.reproduce import Cell, Study, reproduce
from palimpsest.reproduce.aggregates import CLIENT, FORGOTTEN, LINKED, LINKED_OTHERS, STUDIES

STUDY = STUDIES["aggregates"]


def test_sizes_divide_the_samples_of_a_client_and_all_is_one_sum() -> None:
    configs = {cell.position: cell.config({}, seed=1) for cell in STUDY.cells()}
    assert list(configs) == [1, 2, 4, 8, 16, 64, CLIENT, FORGOTTEN]
    for size, config in configs.items():
        assert config.data.train_size == CLIENT * config.federation.clients
        assert config.unlearning.clients is not None
        assert len(config.unlearning.clients) * CLIENT == FORGOTTEN
        if size in (CLIENT, FORGOTTEN):
            assert config.proofs.group_size is None
        else:
            assert config.proofs.group_size == size
            assert CLIENT % config.proofs.group_size == 0
    assert configs[FORGOTTEN].proofs.granularity == "federation"


def small(study: Study) -> Study:
    """Run the same cells with few images, rounds and epochs."""
    few = {
        "data": {"auxiliary_size": 40, "train_size": 60},
        "federation": {"clients": 3},
        "unlearning": {"scenario": "client", "clients": [0, 1]},
    }
    tiny = merged({name: part for name, part in TINY.items() if name != "unlearning"}, few)

    def changed(cell: Cell) -> Cell:
        return dataclasses.replace(cell, changes=merged(cell.changes, tiny))

    return dataclasses.replace(study, cells=lambda: [changed(cell) for cell in study.cells()])


def test_the_table_and_the_figure_are_written(tmp_path: Path) -> None:
    cells = reproduce(
        small(STUDY), out=tmp_path, cells=["8", "all"], seeds=(1,), command="palimpsest reproduce"
    )
    assert all(not cell.failure for cell in cells)
    assert LINKED in cells[1].columns
    # A single proof has no other groups.
    assert LINKED_OTHERS in cells[0].columns
    assert LINKED_OTHERS not in cells[1].columns
    table = (tmp_path / "aggregates.md").read_text()
    assert "linkage AUC, other groups" in table
    for kind in ("png", "svg"):
        assert (tmp_path / f"aggregates.{kind}").stat().st_size > 10_000
