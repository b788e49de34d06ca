import pytest
import torch

from palimpsest.bounds import fit_prior
from palimpsest.errors import DatasetError
from palimpsest.randomness import make_generator


def test_equals_the_pooled_covariance():
    generator = make_generator(1)
    labels = torch.arange(40) % 3
    samples = torch.randn(40, 1, 2, 3, generator=generator) + 5 * labels[:, None, None, None]
    prior = fit_prior(samples, labels)
    expected = sum(
        (int((labels == label).sum()) - 1) * samples[labels == label].flatten(1).double().T.cov()
        for label in range(3)
    )
    torch.testing.assert_close(prior.scaled.T @ prior.scaled, expected / 37)
    assert prior.error == pytest.approx(float(expected.trace()) / 37 / 6)


def test_directions_without_variance_are_left_out():
    samples = torch.randn(5, 8, generator=make_generator(2))
    prior = fit_prior(samples, torch.zeros(5, dtype=torch.int64))
    assert prior.scaled.shape == (4, 8)
    assert prior.variances.sum() == pytest.approx(float(samples.double().var(0).sum()))


def test_one_sample_of_each_class_has_no_variance():
    with pytest.raises(DatasetError, match="The 3 samples of 3 classes"):
        fit_prior(torch.rand(3, 4), torch.arange(3))
