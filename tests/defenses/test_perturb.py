import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.defenses import GradientPerturbation
from palimpsest.randomness import make_generator

strengths = st.floats(0, 4)


@given(st.integers(1, 5), st.integers(1, 60), strengths, strengths)
def test_equals_equation_14(n, d, scale, factor):
    proofs = torch.randn(n, d, generator=make_generator(n, d))
    defended = GradientPerturbation(scale=scale, factor=factor)(proofs, generator=make_generator(1))
    generator = make_generator(1)
    for row, proof in enumerate(proofs):
        expected = proof + (torch.randn(d, generator=generator) * scale) * (proof.abs() * factor)
        torch.testing.assert_close(defended[row], expected)


@given(strengths, strengths)
def test_zero_coordinates_stay_zero(scale, factor):
    proofs = torch.tensor([[0.0, 1.0, -2.0, 0.0]])
    defended = GradientPerturbation(scale=scale, factor=factor)(proofs, generator=make_generator(0))
    assert defended[0, [0, 3]].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("settings", [{"scale": 0}, {"factor": 0}])
def test_zero_scale_or_factor_changes_nothing(settings):
    proofs = torch.randn(3, 7, generator=make_generator(0))
    assert torch.equal(GradientPerturbation(**settings)(proofs, generator=make_generator(1)), proofs)
