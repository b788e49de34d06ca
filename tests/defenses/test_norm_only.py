import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.defenses import NormOnly
from palimpsest.randomness import make_generator


@given(st.integers(0, 5), st.integers(1, 60), st.integers(-30, 30))
def test_keeps_only_the_norm(n, d, power):
    proofs = torch.randn(n, d, generator=make_generator(n, d)) * 10.0**power
    defended = NormOnly()(proofs, generator=make_generator(0))
    torch.testing.assert_close(defended[:, 0], proofs.double().norm(dim=1).float(), rtol=1e-6, atol=0)
    assert not defended[:, 1:].any()


def test_proofs_of_equal_norm_are_indistinguishable():
    proofs = torch.tensor([[3.0, 4.0], [-5.0, 0.0]])
    first, second = NormOnly()(proofs, generator=make_generator(0))
    assert torch.equal(first, second)
