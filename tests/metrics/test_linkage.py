import pytest
import torch

from palimpsest.metrics import score_linkage
from palimpsest.randomness import make_generator

RIGHT = torch.randperm(50, generator=make_generator(1))[:40]


def scored(scores: torch.Tensor):
    return score_linkage(scores, RIGHT, statistic="norm")


def test_perfect_scores_identify_every_proof() -> None:
    scores = torch.rand(40, 50, generator=make_generator(3))
    scores[torch.arange(40), RIGHT] += 1
    result = scored(scores)
    assert (result.identified, result.found, result.auc) == (1, [1, 1], 1)
    assert result.chance == 1 / 50
    # The lower end of the interval of forty successes in forty trials is 0.025 ** (1 / 40).
    assert result.intervals == [pytest.approx([0.9119, 1], abs=1e-4)] * 3


def test_ties_count_against_the_attacker() -> None:
    result = scored(torch.ones(40, 50))
    assert (result.identified, result.found, result.auc) == (0, [0, 0], 0.5)


def test_random_scores_perform_at_chance() -> None:
    result = score_linkage(
        torch.rand(300, 300, generator=make_generator(5)),
        torch.arange(300),
        statistic="norm",
    )
    assert result.auc == pytest.approx(0.5, abs=0.06)
    assert result.identified < 0.03
    assert result.found[1] < 0.04


def test_found_at_1_percent_false_positives() -> None:
    scores = torch.zeros(40, 50)
    flat = scores.flatten()
    wrong = torch.ones(40, 50, dtype=torch.bool)
    wrong[torch.arange(40), RIGHT] = False
    flat[wrong.flatten()] = torch.arange(1960.0)
    scores = flat.view(40, 50)
    # 1 % of 1,960 wrong pairs are 19, so the threshold is the 20th largest, 1,940. 0.1 % is one pair: 1,958.
    scores[torch.arange(40), RIGHT] = torch.where(torch.arange(40) < 10, 1940.5, 1940.0)
    assert scored(scores).found == [0, 0.25]


def test_found_at_0_1_percent_false_positives() -> None:
    wrong = torch.ones(40, 50, dtype=torch.bool)
    wrong[torch.arange(40), RIGHT] = False
    scores = torch.zeros(40, 50)
    scores[wrong] = torch.arange(1960.0)
    # One wrong pair may exceed the threshold, which is therefore the second largest score, 1,958.
    scores[torch.arange(40), RIGHT] = torch.where(torch.arange(40) < 5, 1958.5, 1957.5)
    assert scored(scores).found == [5 / 40, 1]
