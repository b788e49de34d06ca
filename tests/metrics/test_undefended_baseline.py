from dataclasses import replace

import pytest
import torch

from palimpsest.datasets import ImageSet
from palimpsest.metrics import evaluate, judge_undefended


@pytest.fixture(scope="module")
def truth():
    pixels = torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    return ImageSet("noise", pixels, torch.arange(30) % 3, 3)


def scores(truth, reconstructions):
    generator = torch.Generator().manual_seed(0)
    return evaluate(reconstructions, truth, truth, bootstrap=50, generator=generator)


def test_an_attack_that_works_passes(truth):
    control = judge_undefended(scores(truth, truth.images))
    assert control.passed
    assert control.identified == 1


def test_an_attack_that_answers_noise_fails(truth):
    control = judge_undefended(
        scores(truth, torch.rand(30, 1, 8, 8, generator=torch.Generator().manual_seed(2)))
    )
    assert not control.passed
    assert control.interval[0] <= control.chance == 1 / 30
    assert control.mse > control.mean_image


def test_closer_than_the_mean_image_is_enough(truth):
    worked = scores(truth, truth.images)
    untold = replace(worked, right_rank=torch.full((30,), 30))
    assert judge_undefended(untold).passed
