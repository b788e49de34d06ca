"""Studies of the batch on tiny data."""

from pathlib import Path

import pytest
from tests.reproduce.test_dragd import tiny

from palimpsest.reproduce import reproduce
from palimpsest.reproduce.batches import STUDIES


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("dragd-batch-size", ["mnist-forgotten-4", "cifar10-forgotten-4", "mnist-forgotten-2"]),
        ("dragd-retained", ["mnist-retained-1", "mnist-retained-16"]),
    ],
)
def test_cells_run_and_each_data_set_is_a_curve(name: str, chosen: list[str], tmp_path: Path) -> None:
    study = tiny(STUDIES[name])
    summaries = reproduce(study, out=tmp_path, cells=chosen, command="palimpsest reproduce")
    assert not any(summary.failure for summary in summaries)
    assert {summary.cell.series for summary in summaries} == {name.split("-")[0] for name in chosen}
    assert (tmp_path / f"{name}.svg").exists()


def test_each_study_varies_one_size() -> None:
    configs = [cell.config({}, seed=1) for cell in STUDIES["dragd-batch-size"].cells()]
    assert {config.observation.retained for config in configs} == {4}
    assert {config.unlearning.count for config in configs} == {128}
    assert {config.observation.forgotten for config in configs} == {1, 2, 4, 16, 64, 128}
    configs = [cell.config({}, seed=1) for cell in STUDIES["dragd-retained"].cells()]
    assert {config.observation.forgotten for config in configs} == {1}
    assert {config.observation.retained for config in configs} == {1, 4, 16, 64}
