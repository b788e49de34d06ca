import pytest
import torch

from palimpsest.metrics import binomial_interval, score_group_linkage

GROUP = torch.tensor([0, 0, 1, 1])


def test_members_that_fit_better_than_all_others_are_found() -> None:
    """Two groups of two, and 200 strangers of which three score as high as a member."""
    scores = torch.zeros(2, 204)
    scores[GROUP, torch.arange(4)] = torch.tensor([3.0, 4.0, 5.0, 0.5])
    scores[torch.arange(204) % 2, torch.arange(204)] += torch.cat([torch.zeros(4), torch.full((200,), -1.0)])
    scores[0, 4], scores[1, 5], scores[0, 6] = 1.0, 1.0, 1.0
    found = score_group_linkage(scores, GROUP, statistic="whitened", threshold=0.5)
    assert found.auc.value == pytest.approx((200 * 3 + 197) / 800)
    assert found.auc_other_groups is not None
    assert found.auc_other_groups.value == 1
    # Of four members and the first four strangers, three of which score above the threshold.
    assert found.accuracy.value == 5 / 8
    assert (found.accuracy.low, found.accuracy.high) == binomial_interval(5, 8)
    # Two of 200 strangers may score as high as the threshold; three share the score 1.
    assert found.found is not None
    assert found.found.value == 0.75
    assert found.strangers == 200


def test_other_groups_are_unknown_with_one_group_and_the_rate_needs_100_strangers() -> None:
    scores = torch.rand(1, 60, generator=torch.Generator().manual_seed(1))
    found = score_group_linkage(scores, torch.zeros(40, dtype=torch.int64), statistic="product", threshold=2)
    assert found.auc_other_groups is None
    assert found.found is None
    assert found.accuracy.count == 40
    assert found.accuracy.value == 0.5


def test_random_scores_are_chance() -> None:
    scores = torch.randn(5, 2000, generator=torch.Generator().manual_seed(1))
    found = score_group_linkage(scores, torch.arange(1000) % 5, statistic="product", threshold=0.0)
    assert found.auc.low < 0.5 < found.auc.high
    assert not found.exposed
    assert found.auc_other_groups is not None
    assert found.auc_other_groups.low < 0.5 < found.auc_other_groups.high
