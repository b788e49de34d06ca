import gc

import pytest
import torch

from palimpsest.gradients.buffer_pool import BufferPool


def pool(rows: int = 9000, dtype: torch.dtype = torch.float32) -> BufferPool:
    return BufferPool(rows, 1001, dtype=dtype, device=torch.device("cpu"))


def test_two_buffers_alternate_while_the_caller_holds_one() -> None:
    buffers, addresses = pool(), []
    for _ in range(6):
        matrix = buffers.take(9000)
        addresses.append(matrix.data_ptr())
    assert len(set(addresses)) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_memory_of_a_released_matrix_is_reused(dtype: torch.dtype) -> None:
    buffers = pool(18000, dtype)
    addresses = set()
    for _ in range(4):
        matrix = buffers.take(18000)
        assert matrix.dtype == dtype
        addresses.add(matrix.data_ptr())
        del matrix
    assert len(addresses) == 1


def test_a_referenced_matrix_is_never_overwritten() -> None:
    buffers, references = pool(), []
    for number in range(8):
        matrix = buffers.take(9000 - number).fill_(number)
        assert matrix.shape == (9000 - number, 1001)
        # Keep the matrix itself, a view, an array, or only the storage.
        parts = matrix, matrix[number:].T, matrix.numpy()[number:], matrix.untyped_storage()
        references.append(parts[number % 4])
    del matrix, parts
    gc.collect()
    for number, part in enumerate(references):
        stored = isinstance(part, torch.UntypedStorage)
        values = torch.empty(0).set_(part)[: 1001 * (9000 - number)] if stored else part
        assert (values == number).all()


def test_small_matrices_do_not_share_memory() -> None:
    buffers = pool(3)
    first, second = buffers.take(3).fill_(1), buffers.take(2).fill_(2)
    assert first.sum() == 3003
    assert second.sum() == 4004
