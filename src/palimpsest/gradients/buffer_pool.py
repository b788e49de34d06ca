"""Buffer pool for large matrices: memory is reused once no tensor refers to it."""

import mmap
from typing import Any
from weakref import ref

import numpy as np
import torch
from torch import Tensor

# Below this size, the C library reuses freed memory by itself.
_MIN_POOLED_BYTES = 2**25
# Two buffers, since the caller of a generator still holds one chunk while the next is computed.
_MAX_BUFFERS = 2


class BufferPool:
    """Pool of matrices of one width, which reuses the memory of matrices that are no longer referenced.

    The system clears each page of new memory, which can take as long as computing the gradients that are written there.
    A matrix shares its memory with a NumPy array that the matrix's storage keeps alive, and so does every view of the
    matrix. The pool holds a weak reference to that array and reuses the memory only once the array is gone. A matrix
    that is still referenced, as a whole or in part, is therefore never overwritten.

    Args:
        rows: Maximum number of rows of a matrix.
        columns: Number of columns of all matrices.
        dtype: Element type of all matrices.
        device: Device of all matrices. Memory is pooled only on a CPU.
    """

    def __init__(self, rows: int, columns: int, *, dtype: torch.dtype, device: torch.device) -> None:
        """Start with an empty pool."""
        self._size = dtype.itemsize * rows * columns
        self._columns, self._dtype, self._device = columns, dtype, device
        self._leases: list[tuple[mmap.mmap, ref[np.ndarray[Any, Any]]]] = []

    def take(self, rows: int) -> Tensor:
        """Return an uninitialized matrix.

        Args:
            rows: Number of rows, at most the pool's maximum.

        Returns:
            `[rows, columns]`.
        """
        if self._device.type != "cpu" or self._size < _MIN_POOLED_BYTES:
            return torch.empty(rows, self._columns, dtype=self._dtype, device=self._device)
        free = [lease for lease in self._leases if lease[1]() is None]
        memory = free[0][0] if free else mmap.mmap(-1, self._size)
        array = np.frombuffer(memory, dtype=np.uint8)
        leases = [lease for lease in self._leases if lease[0] is not memory]
        self._leases = [*leases[1 - _MAX_BUFFERS :], (memory, ref(array))]
        buffer = torch.from_numpy(array).view(self._dtype)
        return buffer[: rows * self._columns].view(rows, self._columns)
