from typing import Any

import pytest
from tests.support.pages import BOUNDS, make_metrics

from palimpsest.metrics import Metrics
from palimpsest.metrics.bound_evidence import bound_reasons, limits_every_attack


def metrics(**changes: Any) -> Metrics:
    bounds = {**BOUNDS, **{name: {**BOUNDS[name], **change} for name, change in changes.items()}}
    return make_metrics(mse=0.09, top1=0.01, count=120, bounds=bounds)


def test_small_bounds_limit_every_attack() -> None:
    assert limits_every_attack(metrics())
    assert not limits_every_attack(
        metrics(identification={"candidate_bound": 0.07, "any_candidates_bound": 0.9})
    )
    assert not limits_every_attack(metrics(error={"bayes_interval": (0.039, 0.05)}))
    assert not limits_every_attack(make_metrics(mse=0.09, top1=0.01, count=120))
    assert not limits_every_attack(
        make_metrics(mse=0.09, top1=0.01, count=120, bounds={"reason": "no bound"})
    )


def test_reasons_name_the_bounds_or_why_there_are_none() -> None:
    first, second = bound_reasons(metrics())
    assert first == (
        "No attack on one proof links more than 2.6% of the proofs to the correct one of 120 candidates in expectation "
        "(chance 0.00833); the best possible one is expected to link 2.0%."
    )
    assert second.startswith("No attack has an expected error below 0.072 (95 % interval 0.0706 to 0.0734)")
    without = make_metrics(mse=0.09, top1=0.01, count=120, bounds={"reason": "no bound: why"})
    assert list(bound_reasons(without)) == ["No bound: why."]
    assert not list(bound_reasons(make_metrics(mse=0.09, top1=0.01, count=120)))


@pytest.mark.parametrize("part", ["identification", "error"])
def test_a_missing_part_has_no_sentence(part: str) -> None:
    tree = {name: value for name, value in BOUNDS.items() if name != part}
    found = make_metrics(mse=0.09, top1=0.01, count=120, bounds=tree)
    assert len(list(bound_reasons(found))) == 1
    assert not limits_every_attack(found)
