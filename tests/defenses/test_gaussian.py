import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from palimpsest.defenses import GaussianNoise
from palimpsest.randomness import make_generator


@given(st.integers(0, 6), st.integers(1, 60), st.floats(0, 10))
def test_equals_equation_13(n, d, sigma):
    proofs = torch.randn(n, d, generator=make_generator(n, d))
    defended = GaussianNoise(sigma=sigma)(proofs, generator=make_generator(1))
    generator = make_generator(1)
    expected = [proof + sigma * torch.randn(d, generator=generator) for proof in proofs]
    assert torch.equal(defended, torch.stack(expected) if n else proofs)


def test_noise_has_the_given_deviation_and_is_independent_between_rows():
    defended = GaussianNoise(sigma=0.5)(torch.zeros(2, 100_000), generator=make_generator(0))
    assert (defended.std(dim=1) - 0.5).abs().max() < 0.01
    assert abs(float(torch.corrcoef(defended)[0, 1])) < 0.02


def test_zero_sigma_changes_nothing():
    proofs = torch.randn(3, 7, generator=make_generator(0))
    assert torch.equal(GaussianNoise(sigma=0)(proofs, generator=make_generator(1)), proofs)


def test_rejects_a_negative_sigma():
    with pytest.raises(ValidationError):
        GaussianNoise(sigma=-1)
