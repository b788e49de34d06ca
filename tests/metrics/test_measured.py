import torch
from tests.support.images import noisy_images, random_images

from palimpsest.metrics import Measured, bootstrap_intervals, compare, measure

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
    columns = torch.stack(list(scores.columns().values()), 1)
    ends = bootstrap_intervals(columns, resamples=50, generator=torch.Generator().manual_seed(1))
    assert list(scores.intervals.values()) == ends.tolist()
    assert measured(seed=2).intervals != scores.intervals


def test_constant_scores_have_an_interval_of_width_zero():
    scores = measure(ORIGINALS, ORIGINALS, bootstrap=50, generator=torch.Generator().manual_seed(1))
    assert scores.intervals["mse"] == [0, 0]
    assert scores.intervals["identification_top1"] == [1, 1]


def test_intervals_are_stored(tmp_path):
    measured().save(tmp_path / "scores.safetensors")
    assert Measured.load(tmp_path / "scores.safetensors").intervals == measured().intervals
