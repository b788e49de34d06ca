"""Files of `torch.save`, read without running code that they may contain."""

import pickle
import pickletools
import warnings
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import torch

from palimpsest.errors import CheckpointError
from palimpsest.system.memory import require_room

_LARGEST_PICKLE = 2**24
_LONGEST_TEXT = 1024


def read_torch_file(path: Path) -> object:
    """Read a file of `torch.save` with torch's `weights_only` reader.

    That reader runs no code, but a pickle of 32 KiB can keep it busy for minutes: it searches its own error messages,
    and these quote the file. So the pickle is checked first, and refused if it has anything that no state dict has.

    Args:
        path: In torch's format since 1.6, a zip archive without compression.

    Returns:
        Tensors, in the containers that they were stored in.

    Raises:
        CheckpointError: The file is missing, damaged or of an older format, or holds more than tensors.
        ResourceError: It would not fit into memory.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint {path}: check the path.")
    require_room(path, path.stat().st_size)
    try:
        _check(_read_pickle(path))
        with warnings.catch_warnings():
            # torch warns of an old pickle protocol, whether it can read it or not.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors, and reading it could run code: save `model.state_dict()` alone, or as "
            "safetensors."
        ) from error
    # torch and pickle raise errors of almost any type at a damaged file.
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise CheckpointError(
            f"{path} can't be read as a file of torch.save ({reason}): give safetensors or a saved state dict."
        ) from error


def _read_pickle(path: Path) -> bytes:
    """The pickle that describes the archive's other files."""
    if not zipfile.is_zipfile(path):
        raise ValueError("it is not a zip archive, as torch has written them since version 1.6")
    with zipfile.ZipFile(path) as archive:
        # torch stores tensors without compression; a compressed one could unpack to more than memory holds.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("it is a compressed archive, which torch.save does not write")
        found = [entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl")]
        if len(found) != 1 or found[0].file_size > _LARGEST_PICKLE:
            raise ValueError(
                f"it has {len(found)} pickles of its tensors, or one of over {_LARGEST_PICKLE:,} bytes"
            )
        return archive.read(found[0])


def _check(description: bytes) -> None:
    """Refuse a pickle that would keep a reader busy or fill the memory.

    Raises:
        ValueError: A text of absurd length, which torch's messages would quote, or an absurd place in the memo, up to
            which the unpickler would allocate memory.
        UnpicklingError: A call of something that is not a name.
    """
    for operation, argument, position in pickletools.genops(description):
        if isinstance(argument, str | bytes) and len(argument) > _LONGEST_TEXT:
            raise ValueError(f"a text of {len(argument):,} characters in {operation.name}")
        # Picklers number the memo's places one by one, so that no number exceeds the bytes before it.
        if operation.name in _MEMO_WRITES and isinstance(argument, int) and argument > (position or 0):
            raise ValueError(f"place {argument:,} of the memo at byte {position}")
    _DryRun(BytesIO(description)).load()


_MEMO_WRITES = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})


class _Placeholder(dict[Any, Any]):
    """Replaces every object that a pickle names: it accepts arguments, state and items, and does nothing."""

    def __new__(cls, *_: object, **__: object) -> Self:
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()

    def __call__(self, *_: object) -> Self:
        raise pickle.UnpicklingError("it calls an object that it has built")

    def __setstate__(self, _: object) -> None:
        """Accept any state."""

    # `dict` sets this to None, so that a type checker does not see a method to override; any object may be a key here.
    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


class _DryRun(pickle.Unpickler):
    """Unpickles without importing or building anything: only whether containers and calls fit together is checked."""

    def find_class(self, module: str, name: str) -> type[_Placeholder]:
        """Import nothing."""
        return _Placeholder

    def persistent_load(self, pid: object) -> _Placeholder:
        """Read no storage."""
        return _Placeholder()
