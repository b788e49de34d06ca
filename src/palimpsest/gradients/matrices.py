"""Memory for large matrices."""

import mmap
import sys

import torch
from torch import Tensor

# From here on the C library gives memory back to the system when a matrix is dropped, and asks for the next one's anew.
_LARGE = 8 * 2**20
_PAGE = 2 * 2**20
# The largest block whose release makes glibc keep blocks of that size, and twice as much free memory, for later.
_LESSON = 31 * 2**20


def empty_matrix(
    rows: int, columns: int, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Tensor:
    """A matrix with anything in it.

    New memory comes from the system page by page, at a cost that is a third of what its gradients are computed at. On
    Linux a large matrix takes pages of 2 MiB, where the system has some: a tenth of that cost.

    Args:
        rows: Its rows.
        columns: Its columns.
        dtype: Its numbers.
        device: Where it is.
    """
    size = dtype.itemsize * rows * columns
    if torch.device(device).type != "cpu" or size < _LARGE or sys.platform != "linux":
        return torch.empty(rows, columns, dtype=dtype, device=device)
    memory = mmap.mmap(-1, size + _PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # A system without such pages says so, and gives small ones.
    try:
        memory.madvise(mmap.MADV_HUGEPAGE)
    except OSError:
        return torch.empty(rows, columns, dtype=dtype)
    whole = torch.frombuffer(memory, dtype=torch.uint8)
    start = -whole.data_ptr() % _PAGE
    return whole[start : start + size].view(dtype).view(rows, columns)


def keep_freed_memory() -> None:
    """Make the C library keep what is freed for what comes next, activations of the next chunk above all.

    glibc learns this by itself from the first large block that is freed. A small model has none for long, and its
    activations go back to the system and come anew with each chunk. Elsewhere this does nothing.
    """
    torch.empty(_LESSON, dtype=torch.uint8)
