from typing import Any

import numpy as np
import pytest
from tests.support.pages import FORGETTING

from palimpsest.metrics import Forgetting, ForgettingTest, Rate, forgetting_tests
from palimpsest.metrics.forgetting_tests import true_positive_limit
from palimpsest.metrics.schema import Metrics


def measured(**changes: Any) -> Forgetting:
    metrics = Metrics.model_validate({"attack": {}, "seconds": {}, "forgetting": FORGETTING | changes})
    assert metrics.forgetting is not None
    return metrics.forgetting


def rates(
    *, models: tuple[str, ...] = ("original", "unlearned", "retrained"), others: int = 100
) -> dict[str, Rate]:
    intervals = {"original": (0.55, 0.67), "unlearned": (0.45, 0.56), "retrained": (0.46, 0.55)}
    names = {
        "membership_auc": 40 + others,
        "membership_tpr": 40,
        "accuracy_forgotten": 40,
        "accuracy_test": 300,
    }
    return {
        f"{name}_{model}": Rate(0.5, *intervals[model], 0.5, count)
        for name, count in names.items()
        for model in models
    }


def by_name(forgetting: Forgetting, known: dict[str, Rate]) -> dict[str, ForgettingTest]:
    return {test.name: test for test in forgetting_tests(forgetting, known)}


def test_the_area_is_expected_at_chance_or_at_the_retrained_model() -> None:
    test = by_name(measured(), rates())["loss-auc"]
    assert test.expected == (0.46, 0.55)
    assert (test.count, test.chance) == (40, 0.5)
    assert test.finds(test.original) is False  # It begins at the end of the retrained model's interval.
    alone = by_name(measured(retrained=None, distance=None), rates(models=("original", "unlearned")))[
        "loss-auc"
    ]
    assert alone.expected == (0.5, 0.5)
    assert alone.finds(alone.original) is True
    assert alone.finds(alone.unlearned) is False


@pytest.mark.parametrize(("members", "others"), [(9, 100), (40, 9)])
def test_the_area_of_a_few_samples_is_not_decisive(members: int, others: int) -> None:
    known = rates() | {"membership_auc_unlearned": Rate(1.0, 1.0, 1.0, 0.5, members + others)}
    assert by_name(measured(others=others), known)["loss-auc"].expected is None


def test_an_accuracy_is_for_information_because_a_better_model_is_better_everywhere() -> None:
    tests = by_name(measured(), rates())
    assert [name for name, test in tests.items() if test.expected is not None] == ["loss-auc", "loss-tpr"]
    alone = by_name(measured(retrained=None, distance=None), rates(models=("original", "unlearned")))
    assert alone["accuracy-test"].label == "Accuracy on auxiliary samples"
    assert "parameter-distance" not in alone


def test_without_intervals_no_test_is_decisive() -> None:
    tests = forgetting_tests(measured(), {})
    assert len(tests) == 6
    assert {test.finds(test.unlearned) for test in tests} == {None}


def test_the_relative_distance_is_for_information() -> None:
    test = by_name(measured(), rates())["parameter-distance"]
    assert test.original is not None
    assert test.retrained is not None
    assert (test.original.value, test.unlearned.value, test.retrained.value) == (1.0, 0.31, 0.0)
    assert test.finds(test.unlearned) is None


@pytest.mark.parametrize(("members", "others"), [(50, 100), (20, 30), (200, 1000)])
def test_the_limit_of_the_true_positive_rate_equals_that_of_simulated_models(
    members: int, others: int
) -> None:
    """Members and nonmembers with equal distributions; the threshold admits 1 % of the nonmembers."""
    random = np.random.default_rng(3)
    admitted = int(0.01 * others)
    thresholds = np.sort(random.random((20_000, others)), axis=1)[:, others - admitted - 1]
    found = (random.random((20_000, members)) > thresholds[:, None]).mean(axis=1)
    limit = true_positive_limit(members, others)
    assert (found > limit).mean() <= 0.028
    assert (found >= limit).mean() >= 0.022
