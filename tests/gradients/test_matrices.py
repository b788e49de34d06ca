import gc
import sys

import pytest
import torch

from palimpsest.gradients.matrices import _LARGE, MatricesInTurn, empty_matrix


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


def in_turn(rows: int = 3000) -> MatricesInTurn:
    return MatricesInTurn(rows, 1001, dtype=torch.float32, device=torch.device("cpu"))


@pytest.mark.skipif(sys.platform != "linux", reason="large pages are Linux's")
def test_two_matrices_take_turns_where_one_is_held() -> None:
    matrices, places = in_turn(), []
    for _ in range(6):
        matrix = matrices.take(3000)
        places.append(matrix.data_ptr())
    assert len(set(places)) == 2


def test_what_is_held_is_never_written_to() -> None:
    matrices, kept = in_turn(), []
    for number in range(6):
        matrix = matrices.take(3000 - number).fill_(number)
        assert matrix.shape == (3000 - number, 1001)
        kept.append(matrix[number:].T if number % 2 else matrix)
    del matrix
    gc.collect()
    assert all((matrix == number).all() for number, matrix in enumerate(kept))


def test_small_matrices_in_turn() -> None:
    matrices = in_turn(3)
    first, second = matrices.take(3).fill_(1), matrices.take(2).fill_(2)
    assert first.sum() == 3003
    assert second.sum() == 4004
