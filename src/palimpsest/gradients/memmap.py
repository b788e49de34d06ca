"""Where many vectors are kept at once: in memory while they fit, else in a file."""

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
        folder: Where that file stands; none for the system's temporary folder.
        dtype: In which numbers they are kept, float32 or float16.

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
    """The same rows in larger chunks: a product with a tall basis reads all of it, however few rows it is for.

    Args:
        chunks: `[b, dimension]` each.
        rows: Of a larger chunk, at least; the last one may have fewer.
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
        # The mapping keeps the unlinked file's pages: nothing is left behind, however the process ends.
        kind = np.float16 if dtype == torch.float16 else np.float32
        matrix = open_memmap(file.name, mode="w+", dtype=kind, shape=(count, dimension))
        try:
            # Else a disk that another process fills would end this one at its next write, without a word.
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise ResourceError(
                    f"{place} has no room for {size:,} bytes any more: make room, or raise --memory-budget."
                ) from error
        return torch.from_numpy(matrix)
