import math

import pytest
import torch
from torch.testing import assert_close

from palimpsest.membership import joint_ratio, loss, update_attack, update_features
from palimpsest.metrics.roc import roc


def test_features_are_sorted_by_the_first_model():
    before = torch.tensor([[0.0, 2.0, 1.0]])
    after = torch.tensor([[1.0, 0.0, 0.0]])
    labels = torch.tensor([1])
    features = update_features(before, after, labels)
    first, second = before.double().softmax(-1)[0, [1, 2, 0]], after.double().softmax(-1)[0, [1, 2, 0]]
    assert_close(features[0, :9], torch.cat([first, second, first - second]))
    assert_close(features[0, 9], (first - second).norm())
    losses = loss(before, labels), loss(after, labels)
    assert_close(features[0, 10:13], torch.cat([*losses, losses[0] - losses[1]]))
    assert features.shape == (1, 16)


def drawn(samples: int, shadows: int, shift: tuple[float, float], correlation: float):
    """Draw two signals of each sample: difficulty and noise, correlated between the signals, and a member's shift."""
    generator = torch.Generator().manual_seed(0)
    factor = torch.linalg.cholesky(torch.tensor([[1.0, correlation], [correlation, 1.0]])).double()
    halves = torch.rand(shadows // 2, samples, generator=generator) < 0.5
    members = torch.cat([halves, ~halves])
    noise = torch.randn(shadows + 1, samples, 2, generator=generator, dtype=torch.float64) @ factor.T
    center = 3 * torch.randn(samples, 2, generator=generator, dtype=torch.float64)
    truth = torch.arange(samples) < samples // 2
    moved = torch.tensor(shift, dtype=torch.float64)
    target = center + truth.unsqueeze(-1) * moved + noise[0]
    return target, center + members.unsqueeze(-1) * moved + noise[1:], members, truth


def test_joint_ratio_reaches_the_auc_of_two_normal_distributions():
    shift, correlation = (0.8, -0.4), 0.6
    target, shadows, members, truth = drawn(20_000, 64, shift, correlation)
    scores = joint_ratio(target, shadows, members)
    # Mahalanobis distance of the two means.
    one, two = shift
    squared = (one**2 - 2 * correlation * one * two + two**2) / (1 - correlation**2)
    expected = (1 + math.erf(math.sqrt(squared) / 2)) / 2
    assert roc(scores[truth], scores[~truth]).auc.value == pytest.approx(expected, abs=0.015)


def test_joint_ratio_of_one_signal_twice_is_that_of_the_signal():
    target, shadows, members, _ = drawn(50, 16, (0.8, 0.0), 0.0)
    once = joint_ratio(target[:, :1], shadows[:, :, :1], members)
    twice = joint_ratio(target[:, [0, 0]], shadows[:, :, [0, 0]], members)
    assert_close(once, twice)


def test_the_regression_learns_from_shadow_models_which_change_a_member_makes():
    target, shadows, members, truth = drawn(400, 8, (4.0, 0.0), 0.0)
    difference, shadow_difference = target - 0, shadows - 0
    scores = update_attack(difference, shadow_difference, members)
    assert roc(scores[truth], scores[~truth]).auc.value > 0.7
    opposite = update_attack(difference, shadow_difference, ~members)
    assert roc(opposite[truth], opposite[~truth]).auc.value < 0.3
