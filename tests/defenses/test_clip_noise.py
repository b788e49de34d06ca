import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import norm as normal

from palimpsest.defenses import ClipNoise
from palimpsest.randomness import make_generator


def exact_delta(epsilon, sigma, sensitivity):
    """Return the delta of a Gaussian mechanism (Balle and Wang 2018, Eq. 6), computed without a privacy library."""
    half, shift = sensitivity / (2 * sigma), epsilon * sigma / sensitivity
    return normal.cdf(half - shift) - math.exp(epsilon + normal.logcdf(-half - shift))


@settings(max_examples=20)
@given(st.floats(0.05, 50), st.floats(-9, -1), st.floats(0.01, 100))
def test_uses_the_least_noise_for_the_guarantee(epsilon, exponent, clip):
    delta = 10**exponent
    sigma = ClipNoise(clip=clip, epsilon=epsilon, delta=delta).sigma
    assert exact_delta(epsilon, sigma, 2 * clip) <= delta * (1 + 1e-4)
    assert exact_delta(epsilon, 0.999 * sigma, 2 * clip) > delta


def test_many_releases_together_keep_the_guarantee():
    from dp_accounting import GaussianDpEvent, SelfComposedDpEvent
    from dp_accounting.pld import PLDAccountant

    defense = ClipNoise(clip=0.5, epsilon=2.0, delta=1e-5, releases=9)
    accountant = PLDAccountant()
    accountant.compose(SelfComposedDpEvent(GaussianDpEvent(defense.sigma / (2 * defense.clip)), 9))
    assert accountant.get_epsilon(1e-5) == pytest.approx(2.0, rel=1e-2)
    assert defense.sigma == pytest.approx(3 * ClipNoise(clip=0.5, epsilon=2.0, delta=1e-5).sigma)


@given(st.integers(1, 5), st.integers(1, 40), st.floats(0.1, 10))
def test_equals_a_reference_implementation(n, d, clip):
    proofs = torch.randn(n, d, generator=make_generator(n, d))
    defense = ClipNoise(clip=clip, epsilon=4.0)
    generator = make_generator(1)
    expected = torch.stack(
        [
            proof * min(1.0, clip / float(proof.norm())) + defense.sigma * torch.randn(d, generator=generator)
            for proof in proofs
        ]
    )
    torch.testing.assert_close(defense(proofs, generator=make_generator(1)), expected, rtol=1e-5, atol=1e-5)


@given(st.floats(1e-6, 1e6))
def test_clips_the_norm_before_adding_noise(scale):
    proofs = scale * torch.randn(2, 30, generator=make_generator(0))
    defense = ClipNoise(clip=0.7, epsilon=1e6)
    noise = defense(torch.zeros_like(proofs), generator=make_generator(1))
    clipped = defense(proofs, generator=make_generator(1)) - noise
    assert clipped.norm(dim=1).max() <= 0.7 * (1 + 1e-4)
    short = proofs.norm(dim=1) < 0.7
    torch.testing.assert_close(clipped[short], proofs[short], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "setting", [{"epsilon": 0}, {"delta": 0}, {"delta": 1}, {"clip": 0}, {"releases": 0}]
)
def test_rejects_meaningless_settings(setting):
    with pytest.raises(ValidationError):
        ClipNoise(**setting)
