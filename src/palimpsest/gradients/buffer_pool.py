"""Memory for large matrices, one after another."""

import mmap
import sys

import torch
from torch import Tensor

# Smaller ones the C library keeps by itself for the next; see `keep_freed_memory`.
_LARGE = 2**25


class MatricesInTurn:
    """Matrices one after another, in memory that has been used before where nobody holds it any more.

    New memory comes from the system page by page, each cleared: that takes up to as long as computing the gradients
    that are written there. Whoever takes chunks one by one still holds the last one while the next is made: so two take
    turns. A chunk that is kept, or a part of it, is never written to again.

    Args:
        rows: The most rows of a matrix.
        columns: The columns of all.
        dtype: Their numbers.
        device: Where they are.
    """

    def __init__(self, rows: int, columns: int, *, dtype: torch.dtype, device: torch.device) -> None:
        self._size = dtype.itemsize * rows * columns
        self._columns, self._dtype, self._device = columns, dtype, device
        self._memories: list[mmap.mmap] = []

    def take(self, rows: int) -> Tensor:
        """The next matrix, with anything in it.

        Args:
            rows: Its rows.
        """
        if self._device.type != "cpu" or self._size < _LARGE:
            return torch.empty(rows, self._columns, dtype=self._dtype, device=self._device)
        held = _holders(self._memories)
        if _NOBODY not in held:
            self._memories = [*self._memories[-1:], mmap.mmap(-1, self._size)]
            held = [*held[-1:], _NOBODY]
        # The tensor holds the memory, as every part of it does.
        whole = torch.frombuffer(self._memories[held.index(_NOBODY)], dtype=self._dtype)
        return whole[: rows * self._columns].view(rows, self._columns)


def _holders(objects: list[object] | list[mmap.mmap]) -> list[int]:
    """How many references each object of a list has."""
    return [sys.getrefcount(one) for one in objects]


_NOBODY = _holders([object()])[0]
