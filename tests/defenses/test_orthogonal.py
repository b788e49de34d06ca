import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.defenses import OrthogonalObfuscation
from palimpsest.errors import ProofError
from palimpsest.randomness import make_generator


def obfuscate(proofs, seed=1, **settings):
    return OrthogonalObfuscation(**settings)(proofs, generator=make_generator(seed))


def cosines(first, second):
    first, second = first.double(), second.double()
    return (first * second).sum(1) / (first.norm(dim=1) * second.norm(dim=1))


@given(st.integers(2, 300), st.integers(0, 2**31))
def test_equals_equation_10_as_printed(d, seed):
    proofs = torch.randn(3, d, generator=make_generator(seed, "proofs"))
    printed = obfuscate(proofs, seed, rescale=False)
    generator = make_generator(seed)
    for row, proof in enumerate(proofs):
        noise = torch.randn(d, generator=generator).double()
        difference = proof.double()
        expected = noise - (noise @ difference) / (difference @ difference) * difference
        torch.testing.assert_close(printed[row], expected.float(), rtol=1e-5, atol=1e-5)


@given(st.integers(2, 300), st.integers(0, 2**31), st.integers(-24, 24))
def test_is_orthogonal_and_keeps_the_norm(d, seed, power):
    proofs = torch.randn(3, d, generator=make_generator(seed, "proofs")) * 10.0**power
    defended = obfuscate(proofs, seed)
    assert cosines(defended, proofs).abs().max() < 1e-5
    torch.testing.assert_close(defended.double().norm(dim=1), proofs.double().norm(dim=1), rtol=1e-5, atol=0)


def test_is_orthogonal_and_keeps_the_norm_at_the_size_of_resnet20():
    proofs = torch.randn(4, 269_722, generator=make_generator(0)).pow(3) * 1e-6
    defended = obfuscate(proofs)
    assert cosines(defended, proofs).abs().max() < 1e-7
    torch.testing.assert_close(defended.double().norm(dim=1), proofs.double().norm(dim=1), rtol=1e-6, atol=0)


def test_orthogonalizes_noise_nearly_parallel_to_the_proof():
    # In two dimensions the noise is often nearly parallel to the proof: one step would leave rounding errors.
    proofs = torch.randn(20_000, 2, generator=make_generator(0))
    noise = torch.randn(40_000, generator=make_generator(1)).reshape(-1, 2)
    assert cosines(noise, proofs).abs().max() > 1 - 1e-7
    assert cosines(obfuscate(proofs, 1), proofs).abs().max() < 1e-5


def test_orthogonalizes_noise_equal_to_the_proof():
    proofs = torch.randn(100, 2, generator=make_generator(7))
    assert cosines(obfuscate(proofs, 7), proofs).abs().max() < 1e-5


def test_without_rescaling_the_norm_is_about_the_root_of_the_dimension():
    proofs = torch.randn(1, 10_000, generator=make_generator(0)) * 1e-3
    assert abs(float(obfuscate(proofs, rescale=False).norm()) - math.sqrt(10_000)) < 5


def test_a_zero_proof_stays_zero_and_does_not_affect_the_next():
    proofs = torch.randn(2, 12, generator=make_generator(0))
    with_zero = torch.stack([torch.zeros(12), proofs[1]])
    assert not obfuscate(with_zero)[0].any()
    assert torch.equal(obfuscate(with_zero)[1], obfuscate(proofs)[1])


def test_releases_of_the_same_proof_differ():
    proofs = torch.randn(1, 500, generator=make_generator(0)).expand(2, -1)
    defended = obfuscate(proofs)
    assert cosines(defended[:1], defended[1:]).abs() < 0.2


def test_rejects_proofs_with_a_single_coordinate():
    with pytest.raises(ProofError, match="single coordinate"):
        obfuscate(torch.ones(2, 1))
