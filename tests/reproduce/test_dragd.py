"""Studies of server attacks on tiny data."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from palimpsest.config import merged
from palimpsest.reproduce import Cell, Study, reproduce
from palimpsest.reproduce.dragd import STUDIES

TINY: dict[str, Any] = {
    "data": {
        "name": "digits",
        "auxiliary_size": 40,
        "train_size": 120,
        "image_size": None,
        "auxiliary": None,
    },
    "unlearning": {"count": 2},
    "attack": {"iterations": 2},
    "scoring": {"bootstrap": 20},
}


def tiny(study: Study) -> Study:
    """Run the same cells on digits with few steps; batches and defenses are unchanged."""

    def small(cell: Cell) -> dict[str, Any]:
        changes = merged(cell.changes, TINY)
        forgotten = cell.changes.get("observation", {}).get("forgotten", 1)
        changes["unlearning"] = {**cell.changes.get("unlearning", {}), "count": 2 * forgotten}
        return changes

    cells = [dataclasses.replace(one, changes=small(one)) for one in study.cells()]
    return dataclasses.replace(study, cells=lambda: cells)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("dragd-table", ["mnist-*-prior", "mnist-*-printed", "mnist-idlg", "mnist-dragdp-inferred"]),
        ("dragd-step", ["mnist-1+1-dragdp", "lfw64-4+1-dragd"]),
    ],
)
def test_each_study_writes_its_table(name: str, chosen: list[str], tmp_path: Path) -> None:
    summaries = reproduce(tiny(STUDIES[name]), out=tmp_path, cells=chosen, command="palimpsest reproduce")
    assert [summary.failure for summary in summaries] == [""] * len(summaries)
    table = (tmp_path / f"{name}.md").read_text()
    for summary in summaries:
        assert f"| {summary.cell.name} |" in table
        assert summary.scores["mse"].mean > 0


def test_all_attacks_of_the_table_see_the_same_observations(tmp_path: Path) -> None:
    reproduce(tiny(STUDIES["dragd-table"]), out=tmp_path, cells=["mnist-dragd", "mnist-joint"])
    first, other = (
        (tmp_path / cell / "seed-1234" / "observation.safetensors").read_bytes()
        for cell in ("mnist-dragd", "mnist-joint")
    )
    assert first == other


def test_the_table_has_retained_and_prior_columns_if_available(tmp_path: Path) -> None:
    cells = ["mnist-dragd", "mnist-dragdp", "mnist-giamu"]
    summaries = {
        summary.cell.name: summary.columns
        for summary in reproduce(tiny(STUDIES["dragd-table"]), out=tmp_path, cells=cells)
    }
    distance = "parameter distance"
    assert summaries["mnist-dragdp"].keys() == {"retained: MSE", "prior alone: MSE", "SSIM", distance}
    assert summaries["mnist-dragd"].keys() == {"retained: MSE", distance}
    assert summaries["mnist-giamu"].keys() == {distance}
    assert "| retained: MSE | prior alone: MSE |" in (tmp_path / "dragd-table.md").read_text()


def test_with_equal_knowledge_all_attacks_start_from_the_prior_and_know_the_labels() -> None:
    attacks = {cell.name: cell.config({}, seed=1).attack.build() for cell in STUDIES["dragd-table"].cells()}
    equal = [attack for name, attack in attacks.items() if name.endswith("-prior")]
    assert len(equal) == 3 * 8
    assert {attack.prior for attack in equal} == {"mean"}
    assert {attack.labels for attack in equal} == {"known"}
    inferred = [attack for name, attack in attacks.items() if name.endswith("-inferred")]
    assert {attack.labels for attack in inferred} == {"inferred"}


def test_attacks_take_the_steps_of_their_papers_unless_asked_otherwise() -> None:
    cells = {cell.name: cell for cell in STUDIES["dragd-table"].cells()}
    assert cells["mnist-giamu"].config({}, seed=1).attack.build().iterations == 10_000
    shortened = cells["mnist-giamu"].config({"attack": {"iterations": 100}}, seed=1)
    assert shortened.attack.build().iterations == 100
