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
