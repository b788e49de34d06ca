import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.metrics import membership_score

losses = st.lists(st.integers(0, 20).map(lambda value: value / 4), min_size=1, max_size=30).map(torch.tensor)


@settings(deadline=None)
@given(losses, losses)
def test_auc_is_the_probability_that_a_member_has_the_lower_loss(members, others):
    wins = (members[:, None] < others).double() + (members[:, None] == others).double() / 2
    assert membership_score(members, others).auc == pytest.approx(wins.mean().item())


@settings(deadline=None)
@given(losses, losses)
def test_tpr_is_that_of_the_best_threshold_at_1_percent_fpr(members, others):
    thresholds = [-1.0, *members.tolist(), *others.tolist()]
    allowed = [value for value in thresholds if (others <= value).double().mean() <= 0.01]
    best = max((members <= value).double().mean().item() for value in allowed)
    assert membership_score(members, others).tpr == pytest.approx(best)


def test_perfect_separation_and_no_separation():
    sure = membership_score(torch.zeros(50), torch.ones(50))
    assert (sure.auc, sure.tpr) == (1.0, 1.0)
    blind = membership_score(torch.ones(50), torch.ones(50))
    assert (blind.auc, blind.tpr) == (0.5, 0.0)
