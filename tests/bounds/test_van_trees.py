import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.bounds import GaussianPrior, fit_prior, van_trees
from palimpsest.bounds.van_trees import gauss_rule
from palimpsest.errors import ConfigurationError
from palimpsest.randomness import make_generator


def linear_model(seed, *, count=1, pixels=6, dimension=9):
    generator = make_generator(seed, "linear")
    matrices = torch.randn(count, dimension, pixels, dtype=torch.float64, generator=generator)
    samples = torch.randn(80, pixels, generator=generator) * torch.linspace(0.1, 1, pixels)
    prior = fit_prior(samples, torch.zeros(80, dtype=torch.int64))

    def products(vectors):
        return torch.einsum("ndp,ndq,nsq->nsp", matrices, matrices, vectors.double())

    return matrices, prior, products, generator


def exact_trace(matrices, prior, sigma):
    """Trace (F + L^-1)^-1 / p with dense inverses: correct, slow."""
    covariance = prior.scaled.T @ prior.scaled
    information = (matrices.mT @ matrices).mean(0) / sigma**2
    return float(torch.linalg.inv(information + torch.linalg.inv(covariance)).trace()) / len(covariance)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 10.0])
def test_a_linear_model_with_a_gaussian_prior_attains_the_bound(sigma):
    """The simulated error of the posterior mean, which no attack beats, equals the bound."""
    matrices, prior, products, generator = linear_model(1)
    found = van_trees(products, prior, sigma, count=1, probes=64, steps=6, generator=generator)
    covariance = prior.scaled.T @ prior.scaled
    samples = torch.randn(20_000, 6, dtype=torch.float64, generator=generator) @ prior.scaled
    noise = sigma * torch.randn(20_000, 9, dtype=torch.float64, generator=generator)
    released = samples @ matrices[0].T + noise
    spread = matrices[0] @ covariance @ matrices[0].T + sigma**2 * torch.eye(9, dtype=torch.float64)
    answers = released @ torch.linalg.solve(spread, matrices[0] @ covariance)
    error = (answers - samples).square().mean()
    assert float(error) == pytest.approx(exact_trace(matrices, prior, sigma), rel=0.03)
    assert found.value == pytest.approx(float(error), rel=0.03, abs=4 * found.deviation)


def test_the_mean_of_the_local_values_is_no_bound():
    matrices, prior, products, generator = linear_model(2, count=5)
    found = van_trees(products, prior, 2.0, count=5, probes=256, steps=6, generator=generator)
    assert found.value == pytest.approx(exact_trace(matrices, prior, 2.0), abs=4 * found.deviation)
    local = [exact_trace(matrices[place : place + 1], prior, 2.0) for place in range(5)]
    torch.testing.assert_close(found.local, torch.tensor(local, dtype=torch.float64), rtol=0.05, atol=0)
    assert found.local.mean() > found.value


def test_few_steps_and_few_samples_only_lower_the_bound():
    _, prior, products, _ = linear_model(3, count=3, pixels=12, dimension=30)
    values = [
        van_trees(products, prior, 3.0, count=3, probes=8, steps=steps, generator=make_generator(0)).value
        for steps in (1, 2, 4, 12)
    ]
    assert values == sorted(values)
    assert values[0] < 0.95 * values[-1]


@settings(max_examples=25)
@given(st.integers(1, 12), st.integers(0, 9), st.floats(0.01, 100))
def test_the_rule_is_a_lower_end_that_becomes_exact(size, seed, scale):
    generator = make_generator(seed, size)
    root = torch.randn(size, size, dtype=torch.float64, generator=generator)
    matrix = scale * root @ root.T
    start = torch.randn(1, 2, size, dtype=torch.float64, generator=generator)
    inverse = torch.linalg.inv(torch.eye(size, dtype=torch.float64) + matrix)
    exact = torch.einsum("nsp,pq,nsq->ns", start, inverse, start)
    for steps in range(1, size + 1):
        value = gauss_rule(lambda vectors: vectors @ matrix, start, steps)
        assert (value <= exact * (1 + 1e-6)).all()
    torch.testing.assert_close(value, exact, rtol=1e-5, atol=1e-9)


def test_degenerate_matrices_end_early():
    start = torch.randn(1, 1, 5, dtype=torch.float64, generator=make_generator(1))
    zero = gauss_rule(torch.zeros_like, start, 5)
    torch.testing.assert_close(zero, start.square().sum(-1))
    three = gauss_rule(lambda vectors: 3 * vectors, start, 5)
    torch.testing.assert_close(three, start.square().sum(-1) / 4)


def test_no_information_gives_the_priors_error():
    prior = GaussianPrior(torch.diag(torch.tensor([2.0, 1.0])).double(), torch.tensor([4.0, 1.0]).double())
    found = van_trees(torch.zeros_like, prior, 1.0, count=2, probes=1, generator=make_generator(0))
    assert found.value == pytest.approx(prior.error) == 2.5
    assert found.deviation == 0


def test_numbers_must_be_positive():
    _, prior, products, generator = linear_model(4)
    with pytest.raises(ConfigurationError, match=r"sigma is 0\.0"):
        van_trees(products, prior, 0.0, count=1, generator=generator)
    with pytest.raises(ConfigurationError, match="0 probes"):
        van_trees(products, prior, 1.0, count=1, probes=0, generator=generator)
