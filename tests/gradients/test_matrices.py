import gc

import pytest
import torch

from palimpsest.gradients.matrices import _LARGE, empty_matrix


@pytest.mark.parametrize("rows", [0, 1, 3, 3000])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_small_and_large_matrices_are_as_any_other(rows: int, dtype: torch.dtype) -> None:
    matrix = empty_matrix(rows, 1001, dtype=dtype)
    assert (matrix.dtype, matrix.shape, matrix.is_contiguous()) == (dtype, (rows, 1001), True)
    matrix.fill_(2)
    assert matrix.sum(dtype=torch.float64) == 2 * rows * 1001
    assert (rows < 3000) == (matrix.nbytes < _LARGE / 2)


def test_a_part_keeps_the_memory_of_the_whole() -> None:
    part = empty_matrix(3000, 1001).fill_(3)[-1]
    gc.collect()
    others = [empty_matrix(3000, 1001).fill_(5) for _ in range(3)]
    assert (part == 3).all()
    assert others[0].sum() == 5 * 3000 * 1001
