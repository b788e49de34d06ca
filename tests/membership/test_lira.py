import math

import pytest
import torch
from torch.testing import assert_close

from palimpsest.membership import fit_normal, lira_offline, lira_online
from palimpsest.membership.lira import PER_SAMPLE_FROM, reference_lira
from palimpsest.metrics.roc import roc


def gaussians(samples: int, shadows: int, *, shift: float, spread: float, difficulty: float, seed: int = 0):
    """Draw signals of a sample that are normal around its difficulty, and shifted if it is a member."""
    generator = torch.Generator().manual_seed(seed)
    center = difficulty * torch.randn(samples, generator=generator, dtype=torch.float64)
    halves = torch.rand(shadows // 2, samples, generator=generator) < 0.5
    members = torch.cat([halves, ~halves])
    noise = torch.randn(shadows + 1, samples, generator=generator, dtype=torch.float64)
    truth = torch.arange(samples) < samples // 2
    target = center + shift * truth + spread * noise[0]
    return target, center + shift * members + spread * noise[1:], members, truth


def normal_cdf(value: float) -> float:
    return (1 + math.erf(value / math.sqrt(2))) / 2


@pytest.mark.parametrize("variance", ["per-sample", "global"])
def test_online_auc_is_that_of_two_normal_distributions(variance):
    target, shadows, members, truth = gaussians(20_000, 128, shift=1.0, spread=0.8, difficulty=3.0)
    scores = lira_online(target, shadows, members, variance=variance)
    # Two normal distributions with equal variances: the ratio orders signals as their difference from the centers.
    expected = normal_cdf(1.0 / 0.8 / math.sqrt(2))
    assert roc(scores[truth], scores[~truth]).auc.value == pytest.approx(expected, abs=0.015)
    # A global threshold on the same signal also sees how difficult the samples are.
    weaker = normal_cdf(1.0 / math.sqrt(2 * (0.8**2 + 3.0**2)))
    assert roc(target[truth], target[~truth]).auc.value == pytest.approx(weaker, abs=0.015)


def test_offline_scores_are_standard_normal_for_nonmembers():
    target, shadows, members, truth = gaussians(20_000, 128, shift=1.0, spread=0.8, difficulty=3.0)
    scores = lira_offline(target, shadows, members)
    assert scores[~truth].mean().item() == pytest.approx(0.0, abs=0.03)
    assert scores[~truth].std().item() == pytest.approx(1.0, abs=0.03)
    assert scores[truth].mean().item() == pytest.approx(1.0 / 0.8, abs=0.04)
    changed = shadows + 100.0 * members
    assert_close(lira_offline(target, changed, members), scores)


def test_online_scores_equal_the_slow_reference():
    target, shadows, members, _ = gaussians(30, 16, shift=1.0, spread=0.5, difficulty=1.0)
    fast = lira_online(target, shadows, members, variance="per-sample")
    assert_close(fast, reference_lira(target, shadows, members))


def test_a_global_variance_is_pooled_within_samples():
    shadows = torch.tensor([[0.0, 10.0], [2.0, 14.0], [7.0, 7.0]])
    chosen = torch.tensor([[True, True], [True, True], [False, False]])
    fitted = fit_normal(shadows, chosen, variance="global")
    assert fitted.mean.tolist() == [1.0, 12.0]
    assert fitted.variance.tolist() == [5.0, 5.0]
    alone = fit_normal(shadows, chosen, variance="per-sample")
    assert alone.variance.tolist() == [2.0, 8.0]


@pytest.mark.parametrize(("shadows", "equal"), [(PER_SAMPLE_FROM - 2, True), (PER_SAMPLE_FROM, False)])
def test_few_shadow_models_share_a_variance(shadows, equal):
    _, signals, members, _ = gaussians(10, shadows, shift=1.0, spread=0.5, difficulty=1.0)
    variances = fit_normal(signals, members).variance
    assert (variances.unique().numel() == 1) == equal
