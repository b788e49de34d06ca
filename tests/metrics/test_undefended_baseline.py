from dataclasses import replace

import pytest
import torch

from palimpsest.datasets import ImageSet, TokenSet
from palimpsest.metrics import binomial_interval, evaluate, evaluate_samples, judge_undefended


@pytest.fixture(scope="module")
def truth():
    pixels = torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    return ImageSet("noise", pixels, torch.arange(30) % 3, 3)


def scores(truth, reconstructions):
    generator = torch.Generator().manual_seed(0)
    return evaluate(reconstructions, truth, truth, bootstrap=50, generator=generator)


def test_an_attack_that_works_passes(truth):
    baseline = judge_undefended(scores(truth, truth.images))
    assert baseline.passed
    assert baseline.identified == 1


def test_an_attack_that_returns_noise_fails(truth):
    baseline = judge_undefended(
        scores(truth, torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(2)))
    )
    assert not baseline.passed
    assert baseline.interval[0] <= baseline.chance == 1 / 30
    assert baseline.mse > baseline.mean_image


def test_closer_than_the_mean_image_is_enough(truth):
    worked = scores(truth, truth.images)
    unidentified = replace(worked, right_rank=torch.full((30,), 30))
    assert judge_undefended(unidentified).passed


def test_the_interval_is_that_of_the_identification_rate(truth):
    worked = scores(truth, truth.images)
    half = replace(worked, right_rank=torch.tensor([1] * 15 + [9] * 15), intervals={"mse": [0.0, 1.0]})
    judged = judge_undefended(half)
    assert (judged.identified, judged.chance, judged.passed) == (0.5, 1 / 30, True)
    assert judged.interval == binomial_interval(15, 30)
    nothing = judge_undefended(replace(half, right_rank=torch.full((30,), 9)))
    assert (nothing.identified, nothing.passed) == (0, False)
    assert nothing.interval == binomial_interval(0, 30)


def test_the_whole_interval_of_the_error_must_be_below_the_mean_image(truth):
    found = replace(scores(truth, truth.images), right_rank=torch.full((30,), 9))
    typical = found.baselines["mean_image"]["mse"]
    assert not judge_undefended(replace(found, intervals={"mse": [0.0, typical]})).passed
    assert judge_undefended(replace(found, intervals={"mse": [0.0, 0.99 * typical]})).passed


def test_sequences_are_judged_by_the_share_of_wrong_tokens():
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randint(9, (20, 6), generator=generator)
    truth = TokenSet("notes", drawn, torch.zeros(20, dtype=torch.int64), 1)
    guess = drawn.clone()
    guess[:, :2] = (guess[:, :2] + 1) % 9
    found = evaluate_samples(guess, truth, truth, bootstrap=50, generator=generator)
    judged = judge_undefended(found)
    assert judged.mse == pytest.approx(2 / 6)
    assert judged.mean_image == pytest.approx(1 - found.baselines["typical"]["token_accuracy"])
    assert judged.passed
    unidentified = {"identification_top1": torch.zeros(20, dtype=torch.float64)}
    blind = replace(found, per_sample=found.per_sample | unidentified)
    assert judge_undefended(blind).passed
    assert not judge_undefended(replace(blind, intervals={"token_accuracy": [0.01, 0.9]})).passed


def test_scores_of_zero_are_handled(truth):
    assert judge_undefended(scores(truth, truth.images)).mse == 0
    drawn = torch.randint(9, (20, 6), generator=torch.Generator().manual_seed(3))
    notes = TokenSet("notes", drawn, torch.zeros(20, dtype=torch.int64), 1)
    found = evaluate_samples((drawn + 1) % 9, notes, notes, bootstrap=50, generator=torch.Generator())
    judged = judge_undefended(replace(found, baselines={"typical": {"token_accuracy": 0.0}}))
    assert (judged.mse, judged.mean_image) == (1, 1)
