import gc

import pytest
import torch

from palimpsest.gradients.buffer_pool import BufferPool


def pool(rows: int = 9000, dtype: torch.dtype = torch.float32) -> BufferPool:
    return BufferPool(rows, 1001, dtype=dtype, device=torch.device("cpu"))


def test_two_matrices_alternate_if_the_caller_holds_one() -> None:
    matrices, places = pool(), []
    for _ in range(6):
        matrix = matrices.take(9000)
        places.append(matrix.data_ptr())
    assert len(set(places)) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_matrix_that_is_dropped_at_once_leaves_its_memory_to_the_next(dtype: torch.dtype) -> None:
    matrices = pool(18000, dtype)
    places = set()
    for _ in range(4):
        matrix = matrices.take(18000)
        assert matrix.dtype == dtype
        places.add(matrix.data_ptr())
        del matrix
    assert len(places) == 1


def test_a_matrix_that_someone_holds_is_never_overwritten() -> None:
    matrices, kept = pool(), []
    for number in range(8):
        matrix = matrices.take(9000 - number).fill_(number)
        assert matrix.shape == (9000 - number, 1001)
        # As a whole, as a view, as an array, or by its storage alone.
        parts = matrix, matrix[number:].T, matrix.numpy()[number:], matrix.untyped_storage()
        kept.append(parts[number % 4])
    del matrix, parts
    gc.collect()
    for number, part in enumerate(kept):
        stored = isinstance(part, torch.UntypedStorage)
        values = torch.empty(0).set_(part)[: 1001 * (9000 - number)] if stored else part
        assert (values == number).all()


def test_small_matrices() -> None:
    matrices = pool(3)
    first, second = matrices.take(3).fill_(1), matrices.take(2).fill_(2)
    assert first.sum() == 3003
    assert second.sum() == 4004
