import pytest
import torch
from sklearn.neighbors import KernelDensity
from torch.testing import assert_close

from palimpsest.membership import lira_online, ruli
from palimpsest.metrics.roc import roc


def drawn(samples: int = 12, shadows: int = 10, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    halves = torch.rand(shadows // 2, samples, generator=generator) < 0.5
    members = torch.cat([halves, ~halves])
    signals = 3 * torch.randn(shadows + 1, samples, generator=generator, dtype=torch.float64)
    return signals[0], signals[1:], members


@pytest.mark.parametrize("bandwidth", [1.0, 0.4])
def test_scores_equal_those_of_a_density_fitted_to_one_sample_after_another(bandwidth):
    target, shadows, members = drawn()
    expected = []
    for sample in range(len(target)):
        place = target[sample].reshape(1, 1).numpy()
        densities = [
            KernelDensity(bandwidth=bandwidth).fit(part.reshape(-1, 1).numpy()).score_samples(place)[0]
            for part in (
                shadows[members[:, sample], sample],
                shadows[~members[:, sample], sample],
            )
        ]
        expected.append(densities[0] - densities[1])
    assert_close(
        ruli(target, shadows, members, bandwidth=bandwidth), torch.tensor(expected, dtype=torch.float64)
    )


def test_far_signals_have_finite_scores():
    target, shadows, members = drawn()
    assert ruli(target + 1e4, shadows, members).isfinite().all()


def test_a_method_that_overshoots_in_either_direction_is_found_where_normal_distributions_see_nothing():
    # Both sides have the same mean and variance, but a forgotten sample is never where unseen ones are.
    generator = torch.Generator().manual_seed(1)
    samples, shadows = 2000, 64
    halves = torch.rand(shadows // 2, samples, generator=generator) < 0.5
    members = torch.cat([halves, ~halves])
    noise = torch.randn(shadows + 1, samples, generator=generator)
    sides = 6.0 * (2 * (torch.rand(shadows + 1, samples, generator=generator) < 0.5) - 1)
    truth = torch.arange(samples) < samples // 2
    signals = torch.where(torch.cat([truth[None], members]), sides + noise, 37**0.5 * noise)
    density, normal = (
        roc(scores[truth], scores[~truth]).auc.value
        for scores in (ruli(signals[0], signals[1:], members), lira_online(signals[0], signals[1:], members))
    )
    assert normal < 0.6
    assert density > normal + 0.15
