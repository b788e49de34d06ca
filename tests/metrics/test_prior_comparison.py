import pytest
import torch
from tests.support.attack_views import seeded

from palimpsest.metrics import PriorComparison, compare_with_prior


def compare(errors: list[float], prior: list[float]) -> PriorComparison:
    return compare_with_prior(
        torch.tensor(errors), torch.tensor(prior), prior="start", resamples=500, generator=seeded()
    )


def test_differences_are_paired_over_images() -> None:
    """The images' errors vary a hundred times more than the differences, which are all 0.01."""
    prior = torch.linspace(0, 1, 30).tolist()
    found = compare([value + 0.01 for value in prior], prior)
    assert found.difference == pytest.approx(0.01, rel=1e-4)
    assert found.interval == pytest.approx((0.01, 0.01), rel=1e-3)
    assert found.mse == pytest.approx(0.5)
    assert found.failed


def test_an_attack_that_is_closer_or_whose_interval_includes_zero_has_not_failed() -> None:
    assert not compare([0.1, 0.2, 0.3], [0.2, 0.3, 0.4]).failed
    mixed = compare([0.1, 0.5, 0.1, 0.5, 0.2], [0.3] * 5)
    low, high = mixed.interval
    assert low < 0 < high
    assert not mixed.failed


def test_rounding_errors_are_no_failure() -> None:
    prior = torch.linspace(0.05, 0.1, 20)
    assert not compare((prior + 1e-6).tolist(), prior.tolist()).failed
