import pytest
import torch
from torch.testing import assert_close

from palimpsest.membership import rmia
from palimpsest.membership.rmia import reference_rmia

MEMBERS = torch.tensor([[True, False, True], [False, True, False]])
SHADOWS = torch.tensor([[0.9, 0.2, 0.6], [0.3, 0.8, 0.4]], dtype=torch.float64)
TARGET = torch.tensor([0.9, 0.3, 0.7], dtype=torch.float64)
POPULATION = torch.tensor([0.5, 0.1, 0.7, 0.2], dtype=torch.float64)
POPULATION_SHADOWS = torch.tensor([[0.4, 0.2, 0.9, 0.6], [0.6, 0.4, 0.7, 0.2]], dtype=torch.float64)


@pytest.mark.parametrize("gamma", [1.0, 1.5, 2.0])
def test_online_scores_equal_the_pairwise_comparison(gamma):
    prior = torch.tensor([(0.9 + 0.3) / 2, (0.8 + 0.2) / 2, (0.6 + 0.4) / 2], dtype=torch.float64)
    expected = reference_rmia(TARGET / prior, POPULATION / POPULATION_SHADOWS.mean(0), gamma=gamma)
    scores = rmia(
        TARGET, SHADOWS, MEMBERS, population=POPULATION, population_shadows=POPULATION_SHADOWS, gamma=gamma
    )
    assert_close(scores, expected)


def test_offline_scores_use_only_models_without_the_sample():
    outside = torch.tensor([0.3, 0.2, 0.4], dtype=torch.float64)
    prior = ((1 + 0.3) * outside + (1 - 0.3)) / 2
    expected = reference_rmia(TARGET / prior, POPULATION / POPULATION_SHADOWS.mean(0), gamma=1.0)
    for shadows in (SHADOWS, SHADOWS.where(~MEMBERS, 0.001)):
        scores = rmia(
            TARGET,
            shadows,
            MEMBERS,
            population=POPULATION,
            population_shadows=POPULATION_SHADOWS,
            offline=0.3,
            gamma=1.0,
        )
        assert_close(scores, expected)


def test_random_ratios_equal_the_pairwise_comparison():
    generator = torch.Generator().manual_seed(3)
    members = torch.rand(8, 40, generator=generator) < 0.5
    members[:2] = torch.tensor([[True], [False]])
    shadows = torch.rand(8, 40, generator=generator, dtype=torch.float64)
    target = torch.rand(40, generator=generator, dtype=torch.float64)
    population = torch.rand(60, generator=generator, dtype=torch.float64)
    population_shadows = torch.rand(8, 60, generator=generator, dtype=torch.float64)
    means = [
        torch.stack([shadows[members[:, sample] == inside, sample].mean() for sample in range(40)])
        for inside in (True, False)
    ]
    expected = reference_rmia(2 * target / (means[0] + means[1]), population / population_shadows.mean(0))
    scores = rmia(target, shadows, members, population=population, population_shadows=population_shadows)
    assert_close(scores, expected)
