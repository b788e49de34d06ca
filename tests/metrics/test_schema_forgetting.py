import pytest
from pydantic import ValidationError
from tests.support.forgetting_cases import graded_forgetting

from palimpsest.metrics import Estimate, ForgettingTest, Interval


@pytest.mark.parametrize(
    ("side", "ends", "found"),
    [
        ("above", (0.61, 0.7), True),
        ("above", (0.59, 0.7), False),
        ("above", (0.1, 0.2), False),
        ("below", (0.1, 0.2), True),
        ("below", (0.61, 0.7), False),
        ("either", (0.61, 0.7), True),
        ("either", (0.1, 0.39), True),
        ("either", (0.39, 0.61), False),
        ("either", (0.45, 0.5), False),
    ],
)
def test_finds_the_samples_if_the_whole_interval_is_outside_on_the_revealing_side(
    side: str, ends: Interval, found: bool
) -> None:
    test = graded_forgetting((0.0, 1.0), ends, expected=(0.4, 0.6), side=side)
    assert test.finds(test.unlearned) is found


def test_measures_how_far_outside_an_interval_lies() -> None:
    test = graded_forgetting((0.7, 0.8), (0.1, 0.3), expected=(0.4, 0.6))
    assert test.deviation(test.original) == pytest.approx((0.1, 0.2))
    assert test.deviation(test.unlearned) == pytest.approx((0.1, 0.3))


def test_is_not_decisive_without_a_range_an_interval_or_a_value() -> None:
    known = graded_forgetting((0.7, 0.8), (0.7, 0.8))
    assert known.finds(known.unlearned)
    assert known.finds(None) is None
    assert known.finds(Estimate(value=0.9)) is None
    unknown = graded_forgetting((0.7, 0.8), (0.7, 0.8), expected=None)
    assert unknown.finds(unknown.unlearned) is None


def test_refuses_unknown_keys() -> None:
    with pytest.raises(ValidationError):
        ForgettingTest.model_validate({"name": "x", "label": "x", "unlearned": {"value": 1}, "extra": 1})
