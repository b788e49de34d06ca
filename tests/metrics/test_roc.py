import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.metrics.rates import binomial_interval
from palimpsest.metrics.roc import roc

scores = st.lists(st.integers(0, 20).map(float), min_size=1, max_size=30).map(torch.tensor)


@settings(deadline=None)
@given(scores, scores)
def test_auc_is_the_probability_that_a_member_scores_higher(members, nonmembers):
    wins = (members[:, None] > nonmembers).double() + (members[:, None] == nonmembers).double() / 2
    assert roc(members, nonmembers).auc.value == pytest.approx(wins.mean().item())


@settings(deadline=None)
@given(scores, scores, st.sampled_from([0.05, 0.1, 0.5]))
def test_detection_is_that_of_the_best_threshold_with_the_allowed_false_positives(members, nonmembers, rate):
    found = roc(members, nonmembers).detection(rate).found
    if len(nonmembers) < 1 / rate:
        assert found is None
        return
    thresholds = [math.inf, *members.tolist(), *nonmembers.tolist()]
    allowed = [value for value in thresholds if (nonmembers >= value).sum() <= rate * len(nonmembers)]
    hits = max(int((members >= value).sum()) for value in allowed)
    assert found is not None
    assert found.value == pytest.approx(hits / len(members))
    assert (found.low, found.high) == pytest.approx(binomial_interval(hits, len(members)))


def test_a_rate_is_not_measurable_with_too_few_nonmembers():
    members, nonmembers = torch.arange(999.0), torch.arange(999.0)
    detection = roc(members, nonmembers).detection(0.001)
    assert (detection.needed, detection.found) == (1000, None)
    assert roc(members, torch.arange(1000.0)).detection(0.001).found is not None


def test_one_false_positive_in_a_thousand_is_allowed_at_one_in_a_thousand():
    nonmembers = torch.cat([torch.zeros(999), torch.tensor([5.0])])
    members = torch.full((10,), 5.0)
    found = roc(members, nonmembers).detection(0.001).found
    assert found is not None
    assert found.value == 1.0


def test_the_curve_starts_at_zero_and_ends_at_one():
    curve = roc(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 2.0]))
    assert curve.false_positives.tolist() == [0.0, 0.0, 0.5, 1.0]
    assert curve.true_positives.tolist() == [0.0, 0.5, 1.0, 1.0]
