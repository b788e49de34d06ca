"""Memory for large matrices, used again once no tensor refers to it."""

import mmap
from typing import Any
from weakref import ref

import numpy as np
import torch
from torch import Tensor

# Below this size the C library reuses freed memory by itself.
_LARGE = 2**25
# The caller of a generator still holds one chunk while the next is computed.
_POOLED = 2


class BufferPool:
    """Matrices of one width, in the memory of earlier ones that nobody holds any longer, or else in new memory.

    The system clears each page of new memory, which takes up to as long as computing the gradients that are written
    there. A matrix shares its memory with an array that its storage keeps alive, and so does every view of the matrix.
    The pool has a weak reference to that array and reuses the memory only once the array is gone. So a matrix that
    someone still holds, in whole or in part, is never overwritten.

    Args:
        rows: The most rows of a matrix.
        columns: The columns of all.
        dtype: Their element type.
        device: Their device. Only on a CPU is memory pooled.
    """

    def __init__(self, rows: int, columns: int, *, dtype: torch.dtype, device: torch.device) -> None:
        self._size = dtype.itemsize * rows * columns
        self._columns, self._dtype, self._device = columns, dtype, device
        self._leases: list[tuple[mmap.mmap, ref[np.ndarray[Any, Any]]]] = []

    def take(self, rows: int) -> Tensor:
        """A matrix with arbitrary content.

        Args:
            rows: Its rows.
        """
        if self._device.type != "cpu" or self._size < _LARGE:
            return torch.empty(rows, self._columns, dtype=self._dtype, device=self._device)
        returned = [lease for lease in self._leases if lease[1]() is None]
        memory = returned[0][0] if returned else mmap.mmap(-1, self._size)
        array = np.frombuffer(memory, dtype=np.uint8)
        leases = [lease for lease in self._leases if lease[0] is not memory]
        self._leases = [*leases[1 - _POOLED :], (memory, ref(array))]
        whole = torch.from_numpy(array).view(self._dtype)
        return whole[: rows * self._columns].view(rows, self._columns)
