import pytest
import torch
from tests.support.images import noisy_images, random_images

from palimpsest.metrics import Measured, compare, measure
from palimpsest.metrics.intervals import mean_intervals

ORIGINALS = random_images(12, 1, 6, 6)
RECONSTRUCTIONS = noisy_images(ORIGINALS, 0.4).clamp(0, 1)


def measured(seed=1, **settings):
    generator = torch.Generator().manual_seed(seed)
    return measure(RECONSTRUCTIONS, ORIGINALS, bootstrap=50, generator=generator, **settings)


def test_scores_equal_those_of_compare():
    compared = compare(RECONSTRUCTIONS, ORIGINALS, metrics=["mae"])
    scores = measured(metrics=["mae"])
    assert scores.aggregates() == compared.aggregates()
    assert list(scores.intervals) == list(compared.columns())


def test_all_intervals_share_the_same_resamples():
    scores = measured()
    ends = mean_intervals(scores.columns(), resamples=50, generator=torch.Generator().manual_seed(1))
    assert scores.intervals == ends
    assert measured(seed=2).intervals != scores.intervals


def test_of_constant_scores_only_shares_have_an_interval_of_positive_width():
    scores = measure(ORIGINALS, ORIGINALS, bootstrap=50, generator=torch.Generator().manual_seed(1))
    assert scores.intervals["mse"] == [0, 0]
    low, high = scores.intervals["identification_top1"]
    assert low == pytest.approx(0.025 ** (1 / len(ORIGINALS)))
    assert high == 1


def test_intervals_are_stored(tmp_path):
    measured().save(tmp_path / "scores.safetensors")
    assert Measured.load(tmp_path / "scores.safetensors").intervals == measured().intervals
