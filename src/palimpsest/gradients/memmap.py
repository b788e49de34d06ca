"""Matrices of many vectors: in memory if they fit, otherwise memory-mapped from a temporary file."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from palimpsest.errors import ResourceError


def collect(
    chunks: Iterable[Tensor],
    count: int,
    dimension: int,
    *,
    memory_budget: int,
    folder: Path | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Stack chunks of rows into one matrix.

    Args:
        chunks: `[b, dimension]` each, with `count` rows in total.
        count: Number of rows of the result.
        dimension: Number of columns of the result.
        memory_budget: Bytes that the matrix may use in memory. A larger matrix is memory-mapped from a temporary file
            that is deleted at once.
        folder: Folder of the temporary file. If omitted, the system's temporary folder is used.
        dtype: Element type of the result, float32 or float16.

    Returns:
        `[count, dimension]` on the CPU.

    Raises:
        ResourceError: The disk has too little space for the file.
    """
    if dtype.itemsize * count * dimension <= memory_budget:
        matrix = torch.empty(count, dimension, dtype=dtype)
    else:
        matrix = _mapped(count, dimension, folder, dtype)
    row = 0
    for chunk in chunks:
        matrix[row : row + len(chunk)] = chunk
        row += len(chunk)
    return matrix


def gather(chunks: Iterable[Tensor], *, rows: int) -> Iterator[Tensor]:
    """Concatenate chunks into larger ones, since a product with a basis reads the whole basis even for a few rows.

    Args:
        chunks: `[b, dimension]` each.
        rows: Minimum number of rows of a larger chunk; the last one may have fewer.

    Yields:
        The larger chunks, with the same rows in the same order.
    """
    pending: list[Tensor] = []
    for chunk in chunks:
        pending.append(chunk)
        if sum(map(len, pending)) >= rows:
            yield torch.cat(pending)
            pending = []
    if pending:
        yield torch.cat(pending)


def _mapped(count: int, dimension: int, folder: Path | None, dtype: torch.dtype) -> Tensor:
    """Return an uninitialized matrix that is memory-mapped from a deleted temporary file."""
    folder = Path(folder or tempfile.gettempdir())
    folder.mkdir(parents=True, exist_ok=True)
    size, free = dtype.itemsize * count * dimension, shutil.disk_usage(folder).free
    if size > free:
        raise ResourceError(
            f"{count:,} vectors of {dimension:,} numbers need {size:,} bytes, but {folder} has {free:,} free. "
            "Free disk space, raise --memory-budget, or lower data.auxiliary_size."
        )
    with tempfile.NamedTemporaryFile(dir=folder, prefix="vectors-", suffix=".npy") as file:
        # The mapping keeps the pages of the deleted file alive, so nothing stays behind, however the process ends.
        numpy_dtype = np.float16 if dtype == torch.float16 else np.float32
        matrix = open_memmap(file.name, mode="w+", dtype=numpy_dtype, shape=(count, dimension))
        try:
            # Without this, a disk that fills up later would kill the process at a write, without an error message.
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise ResourceError(
                    f"{folder} has no space left for {size:,} bytes. Free disk space or raise --memory-budget."
                ) from error
        return torch.from_numpy(matrix)
