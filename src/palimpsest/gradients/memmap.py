"""Matrices of many vectors, in memory if they fit, otherwise mapped from a temporary file."""

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
        chunks: `[b, dimension]` each, `count` rows in all.
        count: Rows of the result.
        dimension: Columns of the result.
        memory_budget: Bytes; a larger matrix is mapped from a temporary file, deleted with its last reference.
        folder: The folder of that file. If omitted, the system's temporary folder.
        dtype: Element type of the result, float32 or float16.

    Returns:
        `[count, dimension]` on the CPU.

    Raises:
        ResourceError: The file does not fit the disk.
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
    """Join chunks into larger ones, because a product with a tall basis reads all of it for however few rows.

    Args:
        chunks: `[b, dimension]` each.
        rows: The fewest rows of a larger chunk; the last one may have fewer.
    """
    held: list[Tensor] = []
    for chunk in chunks:
        held.append(chunk)
        if sum(map(len, held)) >= rows:
            yield torch.cat(held)
            held = []
    if held:
        yield torch.cat(held)


def _mapped(count: int, dimension: int, folder: Path | None, dtype: torch.dtype) -> Tensor:
    place = Path(folder or tempfile.gettempdir())
    place.mkdir(parents=True, exist_ok=True)
    size, free = dtype.itemsize * count * dimension, shutil.disk_usage(place).free
    if size > free:
        raise ResourceError(
            f"{count:,} vectors of {dimension:,} numbers need {size:,} bytes, {place} has {free:,} free: make room, "
            "raise --memory-budget, or lower data.auxiliary_size."
        )
    with tempfile.NamedTemporaryFile(dir=place, prefix="vectors-", suffix=".npy") as file:
        # The mapping keeps the pages of the deleted file, so that nothing stays behind however the process ends.
        kind = np.float16 if dtype == torch.float16 else np.float32
        matrix = open_memmap(file.name, mode="w+", dtype=kind, shape=(count, dimension))
        try:
            # Without this, a disk that fills up later would kill the process at its next write, without a message.
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise ResourceError(
                    f"{place} has no room for {size:,} bytes left: make room, or raise --memory-budget."
                ) from error
        return torch.from_numpy(matrix)
