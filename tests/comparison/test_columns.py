from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.pages import BOUNDS
from tests.support.run_folders import METRICS

from palimpsest.comparison import COLUMNS, read_accuracy, read_linkage, score_column
from palimpsest.metrics import Metrics, Reading

# Where metrics.json holds each column's value, interval and chance level.
PATHS = {
    "mse": ("reconstruction.mse", "intervals.mse", "chance.mse"),
    "psnr": ("reconstruction.psnr", "intervals.psnr", "chance.psnr"),
    "ssim": ("reconstruction.ssim", "intervals.ssim", "chance.ssim"),
    "lpips": ("reconstruction.lpips", "intervals.lpips", "chance.lpips"),
    "top1": (
        "reconstruction.identification_top1",
        "intervals.identification_top1",
        "chance.identification_top1",
    ),
    "linked": ("linkage.identified", "linkage.intervals.0", "linkage.chance"),
    "linked_bound": (
        "bounds.identification.candidate_bound",
        "none",
        "bounds.identification.chance",
    ),
    "mse_bound": ("bounds.error.bayes_error", "bounds.error.bayes_interval", "none"),
    "accuracy": (
        "federation.unlearned_accuracy",
        "rates.accuracy_test_unlearned.low/high",
        "rates.accuracy_test_unlearned.chance",
    ),
}
shares = st.floats(0, 1)


def follow(tree: Any, path: str) -> Any:
    """Return the value at a path of keys, or None if a key is missing."""
    for key in path.split("."):
        if isinstance(tree, list):
            tree = tree[int(key)]
        elif "/" in key:
            tree = [tree[part] for part in key.split("/")] if tree else None
        else:
            tree = (tree or {}).get(key)
    return tree


@given(mse=shares, top1=shares, low=shares, high=shares, identified=shares, accuracy=shares)
def test_every_column_reads_its_path(
    mse: float, top1: float, low: float, high: float, identified: float, accuracy: float
) -> None:
    tree: dict[str, Any] = {
        **METRICS,
        "reconstruction": METRICS["reconstruction"] | {"mse": mse, "identification_top1": top1},
        "intervals": {"mse": [low, high], "identification_top1": [high, low]},
        "linkage": METRICS["linkage"] | {"identified": identified},
        "bounds": BOUNDS,
        "federation": METRICS["federation"] | {"unlearned_accuracy": accuracy},
    }
    metrics = Metrics.model_validate(tree)
    assert [column.name for column in COLUMNS] == list(PATHS)
    for column in COLUMNS:
        value, interval, chance = (follow(tree, path) for path in PATHS[column.name])
        expected = None if value is None else Reading(value, tuple(interval) if interval else None, chance)
        assert column.read(metrics) == expected, column.name


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_unmeasured_columns_are_absent(column) -> None:
    assert column.read(Metrics(attack={}, seconds={})) is None


def test_accuracy_may_lack_an_interval() -> None:
    metrics = Metrics.model_validate(METRICS | {"rates": {}})
    assert read_accuracy(metrics) == Reading(0.6)


def test_reads_the_score_of_another_attacker() -> None:
    other = {"reconstruction": METRICS["reconstruction"] | {"mse": 0.5}, "intervals": {"mse": [0.4, 0.6]}}
    metrics = Metrics.model_validate(METRICS | {"attackers": {"non-adaptive": other}})
    assert score_column("mse", "non-adaptive")(metrics) == Reading(0.5, (0.4, 0.6))
    assert score_column("mse", "undefended")(metrics) is None
    assert score_column("mse")(metrics) == Reading(0.02, (0.01, 0.03))


def test_linkage_has_an_interval_and_chance() -> None:
    assert read_linkage(Metrics.model_validate(METRICS)) == Reading(0.9, (0.8, 1.0), 0.1)


def test_every_column_has_a_legend() -> None:
    for column in COLUMNS:
        assert column.heading
        assert column.meaning
        assert column.better in ("low", "high")
        assert format(0.5, column.form)
