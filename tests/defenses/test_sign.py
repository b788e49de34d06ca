import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from palimpsest.defenses import SignCompression
from palimpsest.randomness import make_generator

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
proof_sets = arrays(np.float32, array_shapes(min_dims=2, max_dims=2), elements=finite)


@given(proof_sets)
def test_equals_equation_11(array):
    expected = [[1 if value > 0 else -1 if value < 0 else 0 for value in row] for row in array]
    assert SignCompression()(torch.from_numpy(array), generator=make_generator(0)).tolist() == expected


@given(proof_sets)
def test_the_squared_norm_is_the_number_of_nonzero_coordinates(array):
    defended = SignCompression()(torch.from_numpy(array), generator=make_generator(0))
    torch.testing.assert_close(defended.square().sum(1), torch.from_numpy(array).count_nonzero(1).float())
