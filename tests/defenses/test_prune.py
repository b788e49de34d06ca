import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pydantic import ValidationError

from palimpsest.defenses import GradientPruning
from palimpsest.randomness import make_generator

# There are only a few distinct values, so that ties are common.
tied = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 2.0**-100])
distinct = st.floats(width=32, allow_nan=False, allow_infinity=False)
proof_sets = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=30), elements=tied | distinct)
ratios = st.floats(0, 1) | st.sampled_from([0.0, 0.7, 0.8, 0.9, 1.0])


def prune(array, ratio):
    return GradientPruning(ratio=ratio)(torch.as_tensor(array), generator=make_generator(0))


def reference_prune(row, ratio):
    kept = len(row) - round(ratio * len(row))
    order = sorted(range(len(row)), key=lambda index: (-abs(row[index]), index))
    return [value if index in order[:kept] else 0.0 for index, value in enumerate(row)]


@given(proof_sets, ratios)
def test_equals_equation_12(array, ratio):
    assert prune(array, ratio).tolist() == [reference_prune(row, ratio) for row in array.tolist()]


@given(st.integers(1, 400), ratios)
def test_keeps_the_exact_number_of_coordinates(dimension, ratio):
    proof = torch.randn(1, dimension, generator=make_generator(dimension))
    assert int(prune(proof, ratio).count_nonzero()) == dimension - round(ratio * dimension)


def test_prunes_the_exact_share_at_the_size_of_resnet20():
    proof = torch.randn(1, 269_722, generator=make_generator(0))
    assert int(prune(proof, 0.9).count_nonzero()) == 269_722 - 242_750


def test_ratios_0_and_1_keep_everything_and_nothing():
    proof = torch.randn(2, 9, generator=make_generator(0))
    assert torch.equal(prune(proof, 0.0), proof)
    assert not prune(proof, 1.0).any()


def test_keeps_the_earlier_of_equal_magnitudes():
    assert prune([[1.0, -1.0, 1.0, -1.0]], 0.5).tolist() == [[1.0, -1.0, 0.0, 0.0]]


def test_pruned_coordinates_are_positive_zeros():
    assert not torch.signbit(prune([[5.0, -1.0, -2.0]], 0.67)).any()


@pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan")])
def test_rejects_a_ratio_outside_0_to_1(ratio):
    with pytest.raises(ValidationError):
        GradientPruning(ratio=ratio)
