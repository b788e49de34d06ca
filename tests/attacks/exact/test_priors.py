"""Priors of the blocks' inputs."""

import torch
from tests.support.exact_cases import deep, exact_case, max_pooled
from torch.testing import assert_close

from palimpsest.attacks.exact.priors import bounds, fit_prior, inputs_of


def test_bias_variance_and_noise_of_the_errors() -> None:
    case = exact_case(max_pooled, count=400)
    errors = 0.05 * torch.randn(case.images.shape, generator=torch.Generator().manual_seed(0)) + 0.1
    prior = fit_prior(case.trunk, 0, case.images, case.images - errors)
    assert_close(prior.mean, torch.full_like(prior.mean, 0.1), atol=0.01, rtol=0)
    assert_close(prior.variance, torch.full_like(prior.variance, 0.05**2), rtol=0.1, atol=0)
    block = case.chain.blocks[0]
    true = block.before_activation(case.chain.normalize(case.images))
    estimated = block.before_activation(case.chain.normalize(case.images - errors + 0.1))
    assert abs(prior.noise / float((true - estimated).std()) - 1) < 0.02


def test_a_prior_surrounds_an_image() -> None:
    case = exact_case(deep, count=40)
    prior = fit_prior(case.trunk, 1, case.images, case.images)
    around = prior.around(case.chain, case.images[:5])
    assert_close(around.mean, inputs_of(case.chain, 1, case.images[:5]), atol=1e-5, rtol=1e-4)
    assert around.variance.max() < 1e-5


def test_bounds() -> None:
    assert bounds(exact_case(max_pooled).chain, 0) == (0.0, 1.0)
    assert bounds(exact_case(max_pooled).chain, 1) == (0.0, torch.inf)
    low, high = bounds(exact_case(deep).chain, 0)
    assert (round(low, 6), round(high, 6)) == (-2.0, 3.0)
    assert bounds(exact_case(deep).chain, 1) == (-torch.inf, torch.inf)
