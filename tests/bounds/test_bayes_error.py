import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.bounds import bayes_error, centered_gram
from palimpsest.errors import ConfigurationError
from palimpsest.randomness import make_generator


def problem(count, seed, *, pixels=4):
    generator = make_generator(seed, "problem")
    samples = torch.rand(count, 1, 2, pixels // 2, generator=generator)
    matrix = torch.randn(pixels, 6, generator=generator)
    return samples, samples.flatten(1) @ matrix, generator


def test_equals_the_posterior_mean_in_full_dimension():
    samples, means, generator = problem(8, 1)
    sigma, draws = 0.8, 4000
    fast = bayes_error(centered_gram(means), samples, sigma, draws=draws, generator=generator)
    sources = torch.arange(8).repeat(draws)
    released = means[sources] + sigma * torch.randn(len(sources), 6, generator=generator)
    weights = (-torch.cdist(released, means).square() / (2 * sigma**2)).softmax(1)
    flat = samples.flatten(1)
    slow = float((weights @ flat - flat[sources]).square().mean())
    assert fast.value == pytest.approx(slow, rel=0.02)
    assert fast.interval[0] < fast.value < fast.interval[1]
    assert fast.samples == 8


@settings(max_examples=15)
@given(st.floats(0.05, 20))
def test_no_attack_that_knows_the_samples_has_a_smaller_error(sigma):
    """The most likely sample, the nearest mean with shrinkage, and the constant answer."""
    samples, means, generator = problem(10, 2)
    flat, draws = samples.flatten(1), 600
    best = bayes_error(centered_gram(means), samples, sigma, draws=draws, generator=generator)
    sources = torch.arange(10).repeat(draws)
    released = means[sources] + sigma * torch.randn(len(sources), 6, generator=generator)
    likely = flat[torch.cdist(released, means).argmin(1)]
    constant = flat.mean(0).expand(len(sources), -1)
    for answer in (likely, constant, (likely + constant) / 2):
        errors = (answer - flat[sources]).square().mean(1)
        assert best.value <= float(errors.mean()) + 4 * float(errors.std()) / len(sources) ** 0.5


def test_few_samples_give_a_smaller_bound_than_their_distribution():
    """The mean Bayes error under priors of 5 samples, against the error under a prior of 500 of the same kind."""
    sigma, generator = 0.6, make_generator(3)
    matrix = torch.randn(4, 6, generator=generator)

    def error(count, draws):
        samples = torch.rand(count, 4, generator=generator)
        return bayes_error(
            centered_gram(samples @ matrix), samples, sigma, draws=draws, generator=generator
        ).value

    few = sum(error(5, 40) for _ in range(40)) / 40
    assert few < error(500, 2)


def test_extremes_are_zero_and_the_variance():
    samples, means, generator = problem(20, 4)
    clear = bayes_error(centered_gram(means), samples, 1e-4, generator=generator)
    hidden = bayes_error(centered_gram(means), samples, 1e4, generator=generator)
    variance = float(samples.flatten(1).var(0, correction=0).mean())
    assert clear.value == pytest.approx(0, abs=1e-9)
    assert hidden.value == pytest.approx(variance, rel=1e-4)


def test_other_numbers_are_rejected():
    samples, means, generator = problem(3, 5)
    with pytest.raises(ConfigurationError, match="3 samples and 2 means"):
        bayes_error(centered_gram(means[:2]), samples, 1.0, generator=generator)
