import pytest
import torch

from palimpsest.metrics import binomial_interval
from palimpsest.metrics.intervals import mean_intervals


def test_shares_have_exact_intervals_and_means_bootstrap_ones() -> None:
    identified = torch.tensor([1.0] * 3 + [0.0] * 37, dtype=torch.float64)
    scores = {"mse": torch.linspace(0, 1, 40, dtype=torch.float64), "identification_top1": identified}
    intervals = mean_intervals(scores, resamples=200, generator=torch.Generator().manual_seed(0))
    assert intervals["identification_top1"] == pytest.approx(list(binomial_interval(3, 40)))
    assert list(intervals) == ["mse", "identification_top1"]
    low, high = intervals["mse"]
    assert 0.35 < low < 0.5 < high < 0.65


def test_equal_shares_have_an_interval_with_a_width() -> None:
    scores = {name: torch.ones(10, dtype=torch.float64) for name in ("token_accuracy", "token_recall", "mse")}
    scores["token_recall"] -= 1
    intervals = mean_intervals(scores, resamples=50, generator=torch.Generator().manual_seed(0))
    assert intervals["token_accuracy"] == pytest.approx(list(binomial_interval(10, 10)))
    assert intervals["token_recall"] == pytest.approx(list(binomial_interval(0, 10)))
    # Nothing is known about the range of other scores.
    assert intervals["mse"] == [1.0, 1.0]


def test_shares_that_differ_keep_their_bootstrap_interval() -> None:
    scores = {"token_accuracy": torch.linspace(0.2, 0.8, 60, dtype=torch.float64)}
    scores["mse"] = scores["token_accuracy"]
    intervals = mean_intervals(scores, resamples=200, generator=torch.Generator().manual_seed(0))
    assert intervals["token_accuracy"] == intervals["mse"]
