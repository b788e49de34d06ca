import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from palimpsest.defenses import GradientSmoothing
from palimpsest.errors import ConfigurationError
from palimpsest.randomness import make_generator

values = st.floats(-1e3, 1e3, width=32)
row_and_window_pairs = st.integers(1, 25).flatmap(
    lambda d: st.tuples(arrays(np.float32, (2, d), elements=values), st.integers(1, d))
)


def smooth(proofs, **settings):
    return GradientSmoothing(**settings)(torch.as_tensor(proofs), generator=make_generator(0))


def reference_smooth(row, window, alpha):
    smoothed = []
    for index, value in enumerate(row):
        start = index - window // 2
        neighbors = [row[i] for i in range(start, start + window) if 0 <= i < len(row)]
        smoothed.append((1 - alpha) * value + alpha * sum(neighbors) / len(neighbors))
    return smoothed


@given(row_and_window_pairs, st.floats(0, 1))
def test_equals_equation_15(row_and_window, alpha):
    array, window = row_and_window
    expected = torch.tensor([reference_smooth(row, window, alpha) for row in array.tolist()])
    torch.testing.assert_close(smooth(array, window=window, alpha=alpha), expected, rtol=1e-6, atol=1e-4)


@given(st.integers(1, 50), st.integers(1, 50), st.floats(0, 1))
def test_a_constant_vector_does_not_change(dimension, window, alpha):
    proofs = torch.full((1, dimension), 0.37)
    torch.testing.assert_close(smooth(proofs, window=min(window, dimension), alpha=alpha), proofs)


@pytest.mark.parametrize("settings", [{"alpha": 0}, {"window": 1}])
def test_zero_alpha_or_window_1_changes_nothing(settings):
    proofs = torch.randn(3, 9, generator=make_generator(0))
    torch.testing.assert_close(smooth(proofs, **settings), proofs)


def test_a_long_vector_keeps_its_precision():
    # The running sum reaches 1e5. In float32, its rounding errors would be too large for the averages.
    proof = torch.rand(1, 200_000, generator=make_generator(0))
    expected = proof[0].double().unfold(0, 5, 1).mean(1)
    torch.testing.assert_close(
        smooth(proof, window=5, alpha=1)[0, 2:-2], expected.float(), rtol=1e-6, atol=1e-7
    )


def test_rejects_a_window_wider_than_the_vector():
    with pytest.raises(ConfigurationError, match=r"window of 6, but a proof has only 5 coordinates"):
        smooth(torch.ones(1, 5), window=6)
    torch.testing.assert_close(smooth(torch.ones(1, 5), window=5), torch.ones(1, 5))


@pytest.mark.parametrize("window", [15, 16, 17, 18, 31, 59, 60])
def test_wide_windows_equal_equation_15(window):
    proofs = torch.randn(2, 60, generator=make_generator(window))
    expected = torch.tensor([reference_smooth(row, window, 0.7) for row in proofs.tolist()])
    torch.testing.assert_close(smooth(proofs, window=window, alpha=0.7), expected, rtol=1e-5, atol=1e-6)
