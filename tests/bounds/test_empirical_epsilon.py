import math

import pytest
import torch

from palimpsest.bounds import gaussian_epsilon, measure_epsilon
from palimpsest.errors import ConfigurationError
from palimpsest.metrics import binomial_interval
from palimpsest.randomness import make_generator


@pytest.mark.parametrize("mu", [0.0, 0.5, 1.5, 3.0])
def test_bounds_hold_in_nearly_all_repetitions(mu):
    """40 repetitions at 95 % confidence: more than 7 violations have a probability below 1e-3."""
    generator, analytic, wrong = make_generator(int(10 * mu)), gaussian_epsilon(mu, 1e-5), 0
    for _ in range(40):
        first, second = (torch.randn(200, generator=generator) + shift for shift in (mu, 0.0))
        found = measure_epsilon(first, second, delta=1e-5)
        wrong += max(found.epsilon, found.gaussian_epsilon) > analytic
    assert wrong <= 7


def test_the_bound_is_that_of_the_second_half():
    first = torch.cat([torch.ones(50), torch.ones(40), torch.zeros(10)])
    second = torch.cat([torch.zeros(50), torch.ones(2), torch.zeros(48)])
    found = measure_epsilon(first, second, delta=1e-3)
    low, high = binomial_interval(40, 50)[0], binomial_interval(2, 50)[1]
    assert (found.power, found.level, found.releases) == (0.8, 0.04, 50)
    assert found.epsilon == pytest.approx(math.log((low - 1e-3) / high))
    assert found.gaussian_epsilon == pytest.approx(gaussian_epsilon(found.gaussian_mu, 1e-3))


def test_a_test_of_the_second_sample_may_be_the_better_one():
    """Half of the second sample's scores never occur for the first, but not the other way around."""
    generator = make_generator(1)
    first = torch.rand(400, generator=generator)
    second = torch.rand(400, generator=generator) * 2 - 1
    found = measure_epsilon(first, second, delta=1e-5)
    assert found.power == pytest.approx(0.5, abs=0.1)
    assert found.level <= 0.01
    assert found.epsilon > 2


def test_fixed_functions_reach_the_limit_of_the_number_of_releases():
    found = measure_epsilon(torch.ones(1000), torch.zeros(1000), delta=1e-5)
    assert found.power == 1
    assert found.level == 0
    assert found.epsilon == pytest.approx(math.log(500 / 3.69), abs=0.05)


def test_equal_scores_show_nothing():
    found = measure_epsilon(torch.ones(20), torch.ones(20), delta=1e-5)
    assert found.epsilon == found.gaussian_epsilon == 0


def test_different_numbers_are_rejected():
    with pytest.raises(ConfigurationError, match="3 and 4 scores"):
        measure_epsilon(torch.ones(3), torch.ones(4), delta=1e-5)
