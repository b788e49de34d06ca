import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from palimpsest.bounds import (
    candidate_success,
    centered_gram,
    gaussian_success,
    joint_success,
    optimal_success,
)
from palimpsest.errors import ConfigurationError
from palimpsest.randomness import make_generator


def candidates(count, dimension, seed):
    return torch.randn(count, dimension, dtype=torch.float64, generator=make_generator(seed, "candidates"))


def test_two_candidates_have_the_error_of_the_best_test():
    means = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    found = optimal_success(centered_gram(means), 2.5, draws=40_000, generator=make_generator(1))
    assert found.low <= norm.cdf(1.0) <= found.high
    assert found.chance == 0.5
    # The bound is tight here: noise around the middle separates the two best.
    assert candidate_success(centered_gram(means), 2.5) == pytest.approx(norm.cdf(1.0), abs=1e-6)


@settings(max_examples=20)
@given(st.integers(2, 12), st.integers(1, 8), st.floats(0.3, 20))
def test_the_best_attack_lies_between_chance_and_the_bounds(count, dimension, sigma):
    gram = centered_gram(candidates(count, dimension, count))
    found = optimal_success(gram, sigma, draws=2000, generator=make_generator(dimension))
    bound = candidate_success(gram, sigma)
    doubt = 5 * math.sqrt(0.25 / 2000)
    assert 1 / count - doubt <= found.value <= bound + doubt
    assert 1 / count <= bound <= joint_success(gram, sigma) + 1e-9
    radius = float(gram.diagonal().sqrt().max())
    assert bound <= gaussian_success(1 / count, radius / sigma) + 1e-9


def test_the_bound_equals_a_search_over_the_attackers_regions():
    """The largest mean of Phi(Phi^-1(q_j) + mu_j) over shares q_j that sum to 1, on a fine grid."""
    means = torch.tensor([[0.0], [1.0], [5.0]])
    gram, sigma = centered_gram(means), 2.0
    mu = gram.diagonal().sqrt().numpy() / sigma
    grid = np.linspace(1e-9, 1, 400)
    first, second = np.meshgrid(grid, grid)
    third = 1 - first - second
    kept = third > 0
    powers = [norm.cdf(norm.ppf(q[kept]) + m) for q, m in zip((first, second, third), mu, strict=True)]
    assert candidate_success(gram, sigma) == pytest.approx(float(np.mean(powers, axis=0).max()), abs=1e-3)


@pytest.mark.parametrize("sigma", [0.5, 1.5, 4.0])
def test_an_attack_that_assigns_all_proofs_at_once_does_not_beat_the_joint_bound(sigma):
    """The posterior of each pair over all permutations, for three candidates, by brute force."""
    means, draws = candidates(3, 2, 7), 4000
    generator = make_generator(3, int(10 * sigma))
    orders = torch.tensor(list(itertools.permutations(range(3))))
    truth = orders[torch.randint(len(orders), (draws,), generator=generator)]
    released = means[truth] + sigma * torch.randn(draws, 3, 2, dtype=torch.float64, generator=generator)
    squares = (released[:, :, None] - means).square().sum(-1)
    logs = -squares / (2 * sigma**2)
    weights = logs[:, torch.arange(3), orders].sum(-1).softmax(1)
    posterior = torch.zeros(draws, 3, 3, dtype=torch.float64)
    for place, order in enumerate(orders):
        posterior[:, torch.arange(3), order] += weights[:, place, None]
    right = float((posterior.argmax(2) == truth).double().mean())
    gram = centered_gram(means)
    alone = optimal_success(gram, sigma, draws=20_000, generator=generator)
    assert right <= joint_success(gram, sigma) + 0.015
    # Together, the proofs reveal more than one by one, so that the bound of one proof does not cover this attack.
    assert right > alone.value - 0.01


def test_equal_candidates_are_chance_and_clear_ones_certain():
    same = centered_gram(torch.ones(4, 3))
    assert candidate_success(same, 1.0) == pytest.approx(0.25)
    assert joint_success(same, 1.0) == pytest.approx(0.25)
    clear = centered_gram(100 * torch.eye(4))
    assert candidate_success(clear, 1.0) == pytest.approx(1.0)
    assert optimal_success(clear, 1.0, draws=10, generator=make_generator(0)).value == 1


def test_impossible_arguments_are_rejected():
    with pytest.raises(ConfigurationError, match=r"noise of 0\.0"):
        candidate_success(torch.eye(2, dtype=torch.float64), 0.0)
    with pytest.raises(ConfigurationError, match="There are 0 candidates"):
        candidate_success(torch.empty(0, 0, dtype=torch.float64), 1.0)
