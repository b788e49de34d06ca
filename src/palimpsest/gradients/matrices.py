"""Memory for large matrices."""

import mmap
import sys

import torch
from torch import Tensor

# From here on the C library gives memory back to the system when a matrix is dropped, and asks for the next one's anew.
_LARGE = 8 * 2**20
_PAGE = 2 * 2**20
_Memory = mmap.mmap


def empty_matrix(
    rows: int, columns: int, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Tensor:
    """A matrix with anything in it.

    New memory comes from the system page by page, at a cost that is a third of what its gradients are computed at. On
    Linux a large matrix takes pages of 2 MiB, where the system has some.

    Args:
        rows: Its rows.
        columns: Its columns.
        dtype: Its numbers.
        device: Where it is.
    """
    memory = _mapped(dtype.itemsize * rows * columns, device)
    if memory is None:
        return torch.empty(rows, columns, dtype=dtype, device=device)
    return _matrix(memory, rows, columns, dtype)


class MatricesInTurn:
    """Matrices one after another, in memory that has been used before where nobody holds it any more.

    Whoever takes chunks one by one still holds the last one while the next is made: so two take turns. A chunk that is
    kept, or a part of it, is never written to again.

    Args:
        rows: The most rows of a matrix.
        columns: The columns of all.
        dtype: Their numbers.
        device: Where they are.
    """

    def __init__(self, rows: int, columns: int, *, dtype: torch.dtype, device: torch.device) -> None:
        self._size = dtype.itemsize * rows * columns
        self._columns, self._dtype, self._device = columns, dtype, device
        self._memories: list[_Memory] = []

    def take(self, rows: int) -> Tensor:
        """The next matrix, with anything in it.

        Args:
            rows: Its rows.
        """
        for place, holders in enumerate(_holders(self._memories)):
            if holders == _NOBODY:
                return _matrix(self._memories[place], rows, self._columns, self._dtype)
        memory = _mapped(self._size, self._device)
        if memory is None:
            return torch.empty(rows, self._columns, dtype=self._dtype, device=self._device)
        self._memories = [*self._memories[-1:], memory]
        return _matrix(memory, rows, self._columns, self._dtype)


def _mapped(size: int, device: torch.device | str) -> _Memory | None:
    """Memory for so many bytes in large pages; none where a plain tensor does as well."""
    if torch.device(device).type != "cpu" or size < _LARGE or sys.platform != "linux":
        return None
    memory = mmap.mmap(-1, size + _PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    # A system without such pages says so, and gives small ones.
    try:
        memory.madvise(mmap.MADV_HUGEPAGE)
    except OSError:
        return None
    return memory


def _matrix(memory: _Memory, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    """The memory as a matrix, which holds it, as every part of the matrix does."""
    whole = torch.frombuffer(memory, dtype=torch.uint8)
    start = -whole.data_ptr() % _PAGE
    return whole[start : start + dtype.itemsize * rows * columns].view(dtype).view(rows, columns)


def _holders(objects: list[object] | list[_Memory]) -> list[int]:
    """How many references each object of a list has."""
    return [sys.getrefcount(one) for one in objects]


_NOBODY = _holders([object()])[0]
