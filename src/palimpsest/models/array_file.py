"""NumPy's `.npz` archives of a model's arrays, as Flower's guide has a server save them."""

import zipfile
from pathlib import Path

import numpy as np
from torch import Tensor

from palimpsest.errors import CheckpointError
from palimpsest.models.state_dicts import as_tensor
from palimpsest.system.memory import require_room

_MOST = 65_536
_LARGEST_RATIO = 1_000


def read_npz(path: Path) -> list[Tensor] | dict[str, Tensor]:
    """Read the arrays of an `.npz` archive; nothing is unpickled.

    Args:
        path: A file of `numpy.savez` or `numpy.savez_compressed`.

    Returns:
        Arrays by name; or in their order if NumPy named them itself (`arr_0`, `arr_1`, ...).

    Raises:
        CheckpointError: The file is missing, damaged, or holds something else than arrays of numbers.
        ResourceError: The arrays do not fit into memory.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint {path}: check the path.")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > _MOST:
                raise CheckpointError(f"{path} has {len(entries):,} arrays; at most {_MOST:,} are read.")
            for entry in entries:
                if entry.file_size > _LARGEST_RATIO * max(entry.compress_size, 1024):
                    raise CheckpointError(
                        f"{path}: {entry.filename[:80]!r} would expand from {entry.compress_size:,} to "
                        f"{entry.file_size:,} bytes. Save it without compression if that is right."
                    )
            require_room(path, sum(entry.file_size for entry in entries))
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: as_tensor(stored[name]) for name in stored.files}
    # NumPy and zipfile raise errors of many types at a damaged file; RuntimeError is an encrypted or unknown method.
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise CheckpointError(
            f"{path} can't be read as an .npz archive ({reason}): save arrays of numbers with numpy.savez."
        ) from error
    tensors: dict[str, Tensor] = {}
    for name, value in arrays.items():
        if value is None:
            raise CheckpointError(
                f"{path}: {name[:80]!r} is not an array of numbers. Save the model's arrays alone."
            )
        tensors[name] = value
    if tensors and all(name == f"arr_{index}" for index, name in enumerate(tensors)):
        return list(tensors.values())
    return tensors
