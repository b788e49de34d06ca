import pytest
import torch

from palimpsest.metrics import score_linkage
from palimpsest.randomness import make_generator

RIGHT = torch.randperm(50, generator=make_generator(1))[:40]


def scored(scores: torch.Tensor):
    return score_linkage(scores, RIGHT, statistic="norm")


def test_certainty_identifies_all() -> None:
    scores = torch.rand(40, 50, generator=make_generator(3))
    scores[torch.arange(40), RIGHT] += 1
    result = scored(scores)
    assert (result.identified, result.found, result.auc) == (1, [1, 1], 1)
    assert result.chance == 1 / 50
    # All of forty leave room for one in eleven: 0.025 ** (1 / 40).
    assert result.intervals == [pytest.approx([0.9119, 1], abs=1e-4)] * 3


def test_ties_count_against_the_attacker() -> None:
    result = scored(torch.ones(40, 50))
    assert (result.identified, result.found, result.auc) == (0, [0, 0], 0.5)


def test_a_coin_finds_what_it_may() -> None:
    result = score_linkage(
        torch.rand(300, 300, generator=make_generator(5)),
        torch.arange(300),
        statistic="norm",
    )
    assert result.auc == pytest.approx(0.5, abs=0.06)
    assert result.identified < 0.03
    assert result.found[1] < 0.04


def test_found_counts_right_pairs_above_the_share_of_wrong_ones() -> None:
    scores = torch.zeros(40, 50)
    flat = scores.flatten()
    wrong = torch.ones(40, 50, dtype=torch.bool)
    wrong[torch.arange(40), RIGHT] = False
    flat[wrong.flatten()] = torch.arange(1960.0)
    scores = flat.view(40, 50)
    # 1 % of 1,960 wrong pairs are 19: the threshold is the 20th largest, 1,940; 0.1 % is one: 1,958.
    scores[torch.arange(40), RIGHT] = torch.where(torch.arange(40) < 10, 1940.5, 1940.0)
    assert scored(scores).found == [0, 0.25]


def test_a_thousandth_of_the_wrong_pairs_is_allowed_for() -> None:
    wrong = torch.ones(40, 50, dtype=torch.bool)
    wrong[torch.arange(40), RIGHT] = False
    scores = torch.zeros(40, 50)
    scores[wrong] = torch.arange(1960.0)
    # One wrong pair may lie above the threshold: it is the second largest, 1,958.
    scores[torch.arange(40), RIGHT] = torch.where(torch.arange(40) < 5, 1958.5, 1957.5)
    assert scored(scores).found == [5 / 40, 1]
