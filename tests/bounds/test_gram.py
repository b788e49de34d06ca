import torch

from palimpsest.bounds.gram import centered_gram, log_likelihoods
from palimpsest.randomness import make_generator


def test_gram_equals_the_products_of_centered_rows():
    vectors = torch.randn(5, 5000, generator=make_generator(1)) + 3
    centered = vectors.double() - vectors.double().mean(0)
    torch.testing.assert_close(centered_gram(vectors), centered @ centered.T)


def test_log_likelihoods_have_the_distribution_of_simulated_releases():
    """The means and the covariance of differences of log-likelihoods, against releases in full dimension."""
    generator, sigma, draws = make_generator(2), 0.7, 40_000
    means = torch.randn(3, 6, dtype=torch.float64, generator=generator)
    sources = torch.ones(draws, dtype=torch.int64)
    fast = log_likelihoods(centered_gram(means), sigma, sources, generator=generator)
    released = means[1] + sigma * torch.randn(draws, 6, dtype=torch.float64, generator=generator)
    slow = -torch.cdist(released, means).square() / (2 * sigma**2)
    differences = [values[:, 1:] - values[:, :1] for values in (fast, slow)]
    torch.testing.assert_close(differences[0].mean(0), differences[1].mean(0), rtol=0.03, atol=0.03)
    torch.testing.assert_close(differences[0].T.cov(), differences[1].T.cov(), rtol=0.04, atol=0.04)
