import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from palimpsest.bounds import (
    GaussianStep,
    composed_success,
    gaussian_steps,
    gaussian_success,
    private_success,
)
from palimpsest.bounds.trade_off import gaussian_delta, least_line
from palimpsest.errors import ConfigurationError
from palimpsest.randomness import make_generator

PRIORS, MUS = st.floats(1e-6, 1 - 1e-6), st.floats(0, 8)


@given(PRIORS, MUS)
def test_gaussian_success_is_the_power_of_the_best_test(prior, mu):
    # The most powerful test of N(0, 1) against N(mu, 1) at this level accepts above a threshold.
    threshold = norm.isf(prior)
    assert gaussian_success(prior, mu) == pytest.approx(norm.sf(threshold - mu), rel=1e-6)


@settings(max_examples=30)
@given(PRIORS, st.floats(0.01, 6))
def test_the_best_line_touches_the_gaussian_trade_off(prior, mu):
    found = least_line(prior, lambda epsilon: float(gaussian_delta(epsilon, np.asarray(mu))))
    assert found == pytest.approx(gaussian_success(prior, mu), abs=1e-6)


def test_the_divergence_equals_its_integral():
    x = np.linspace(-20, 20, 400_001)
    for epsilon, mu in ((-1.0, 0.5), (0.0, 2.0), (3.0, 1.0)):
        excess = np.maximum(norm.pdf(x - mu) - math.exp(epsilon) * norm.pdf(x), 0)
        assert gaussian_delta(epsilon, np.asarray(mu)) == pytest.approx(np.trapezoid(excess, x), abs=1e-8)
    assert gaussian_delta(0.0, np.zeros(2)) == pytest.approx([0, 0], abs=1e-9)
    assert gaussian_delta(-1.0, np.asarray(0.0)) == pytest.approx(1 - math.exp(-1))


@given(PRIORS, st.floats(0, 10), st.floats(0, 0.5))
def test_private_success_is_attained_by_randomized_response(prior, epsilon, delta):
    # The tight mechanism of (epsilon, delta): with probability delta the secret itself, otherwise a biased coin.
    kept = (1 - delta) / (1 + math.exp(epsilon))
    own = np.array([delta, (1 - delta) - kept, kept, 0.0])
    other = own[::-1]
    ratios = own / np.maximum(other, 1e-300)
    order = np.argsort(-ratios)
    power, left = 0.0, prior
    for outcome in order:
        share = min(1.0, left / other[outcome]) if other[outcome] > 0 else 1.0
        power, left = power + share * own[outcome], left - share * other[outcome]
    assert private_success(prior, epsilon, delta) == pytest.approx(power, abs=1e-9)


def test_composition_equals_one_release_with_the_sum_of_squares():
    four = gaussian_steps([GaussianStep(0.5, count=4)])
    mixed = gaussian_steps([GaussianStep(0.6), GaussianStep(0.8)])
    for prior in (1e-4, 0.01, 0.9):
        for loss in (four, mixed):
            assert composed_success(prior, loss) == pytest.approx(gaussian_success(prior, 1.0), rel=1e-3)
            assert composed_success(prior, loss) >= gaussian_success(prior, 1.0) - 1e-9


def test_sampling_bounds_a_simulated_attack():
    """The likelihood ratio test of noisy sums, in which the sample takes part with probability 0.3."""
    mu, sampling, steps, prior, draws = 1.5, 0.3, 5, 0.05, 100_000
    generator = np.random.default_rng(1)
    part = generator.random((draws, steps)) < sampling
    noise = generator.standard_normal((draws, steps))

    def ratio(y):
        return np.log1p(sampling * np.expm1(mu * y - mu**2 / 2)).sum(1)

    threshold = np.quantile(ratio(generator.standard_normal((draws, steps))), 1 - prior)
    power = float((ratio(noise + mu * part) > threshold).mean())
    bound = composed_success(prior, gaussian_steps([GaussianStep(mu, steps, sampling)]))
    assert power <= bound + 0.004
    assert power >= 0.97 * bound


@given(st.integers(2, 6), st.floats(0.2, 3))
@settings(max_examples=15)
def test_the_most_likely_candidate_does_not_beat_the_bound(count, sigma):
    """The Bayes attack on means within the unit ball, by brute force."""
    generator = make_generator(count, int(100 * sigma))
    means = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    sources = torch.arange(count).repeat_interleave(2000)
    released = means[sources] + sigma * torch.randn(len(sources), 3, generator=generator)
    right = float((torch.cdist(released, means).argmin(1) == sources).double().mean())
    assert right <= gaussian_success(1 / count, 1 / sigma) + 4 * math.sqrt(0.25 / len(sources))


def test_impossible_arguments_are_rejected():
    with pytest.raises(ConfigurationError, match=r"The prior is 1\.5"):
        gaussian_success(1.5, 1.0)
    with pytest.raises(ConfigurationError, match="mu is -1"):
        gaussian_success(0.5, -1.0)
    with pytest.raises(ConfigurationError, match="no releases"):
        gaussian_steps([])


def test_extremes():
    assert gaussian_success(0.0, 3.0) == 0
    assert gaussian_success(1.0, 0.0) == 1
    assert least_line(0.0, lambda epsilon: 0.25) == 0.25
    assert private_success(0.3, 800.0, 0.0) == 1
