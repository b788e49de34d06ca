"""Safe reader of `torch.save` files, which may contain code."""

import pickle
import pickletools
import warnings
import zipfile
from collections import OrderedDict
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import torch

from palimpsest.errors import CheckpointError
from palimpsest.system.memory import require_room

_LARGEST_PICKLE = 2**24
_LONGEST_TEXT = 1024
_MOST_CLASSES = 1000


def read_torch_file(path: Path) -> object:
    """Read a file of `torch.save` with torch's `weights_only` reader.

    That reader runs no code, but a pickle of 32 KiB can keep it busy for minutes: it searches its own error messages,
    which quote the file. The pickle is therefore checked first, and rejected if it contains anything that a state dict
    does not. Objects of classes that the reader does not know, such as the settings in a file of Lightning, are
    replaced by empty placeholders: nothing is imported, called or built for them.

    Args:
        path: A file in torch's format since version 1.6, an uncompressed zip archive.

    Returns:
        The tensors, in the containers that they were saved in.

    Raises:
        CheckpointError: The file is missing or damaged, has an older format, or holds more than tensors.
        ResourceError: The file's content does not fit into memory.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint {path}. Check the path.")
    require_room(path, path.stat().st_size)
    try:
        stand_ins = _check_pickle(_read_pickle(path))
        with warnings.catch_warnings():
            # torch warns about every old pickle protocol, even those that it can read.
            warnings.simplefilter("ignore")
            unknown = torch.serialization.get_unsafe_globals_in_checkpoint(path)
            known: list[Any] = [(stand_ins.get(name, _Placeholder), name) for name in unknown]
            with torch.serialization.safe_globals(known):
                return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors, and reading it could run code. Save only `model.state_dict()`, or use "
            "safetensors."
        ) from error
    # torch and pickle raise almost any type of error for a damaged file.
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise CheckpointError(
            f"{path} can't be read as a file of torch.save ({reason}). Pass safetensors or a saved state dict."
        ) from error


def _read_pickle(path: Path) -> bytes:
    """Return the pickle that describes the archive's other files."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            if file.read(4) == b"PK\x03\x04":
                raise ValueError("it is truncated or damaged: its zip archive has no end")
        raise ValueError("it is not a zip archive, which torch has written since version 1.6")
    with zipfile.ZipFile(path) as archive:
        # torch stores tensors without compression. A compressed archive could unpack to more than memory holds.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("it is a compressed archive, which torch.save does not write")
        pickles = [entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > _LARGEST_PICKLE:
            raise ValueError(
                f"it has {len(pickles)} pickles instead of one, or one of over {_LARGEST_PICKLE:,} bytes"
            )
        return archive.read(pickles[0])


def _check_pickle(description: bytes) -> dict[str, type]:
    """Reject a pickle that would keep a reader busy or exhaust memory.

    Returns:
        What stands in for the classes whose objects are filled like a mapping or a list, by module and name.

    Raises:
        ValueError: A string is too long, which torch's messages would quote; or a memo index is too large, for the
            unpickler allocates memory up to that index.
        UnpicklingError: The pickle calls something that is not a name.
    """
    # Protocol 2, which torch writes, stores the bytes of NumPy arrays as text.
    names_arrays = b"_reconstruct" in description
    for operation, argument, position in pickletools.genops(description):
        is_array = names_arrays or isinstance(argument, bytes)
        if is_array and isinstance(argument, bytes | str) and len(argument) > _LONGEST_TEXT:
            raise ValueError(
                "it holds NumPy arrays or other bytes: save tensors, or the arrays with numpy.savez"
            )
        if isinstance(argument, str) and len(argument) > _LONGEST_TEXT:
            raise ValueError(f"{operation.name} has a string of {len(argument):,} characters")
        # Picklers number the memo consecutively, so an index never exceeds the number of bytes before it.
        if operation.name in _MEMO_WRITES and isinstance(argument, int) and argument > (position or 0):
            raise ValueError(f"byte {position} writes to memo index {argument:,}")
    dry_run = _DryRun(BytesIO(description))
    dry_run.load()
    return dry_run.stand_ins


_MEMO_WRITES = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})


class _Placeholder(dict[Any, Any]):
    """Stand-in for every object that a pickle names: accepts arguments, state and items, and ignores them."""

    def __new__(cls, *_: object, **__: object) -> Self:
        """Accept any arguments."""
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        """Accept any arguments."""
        super().__init__()

    def __call__(self, *_: object) -> Self:
        """Reject a call of an object that the pickle has built."""
        raise pickle.UnpicklingError("it calls an object that it has built")

    def __setstate__(self, _: object) -> None:
        """Accept any state."""

    # `dict` sets __hash__ to None, so a type checker sees no method to override. In a pickle any object may be a key.
    def __hash__(self) -> int:  # type: ignore[override]
        """Hash by identity."""
        return id(self)


class _Mapping:
    """Stand-in for a class of mappings: torch's reader puts items into plain mappings only."""

    # Not an instance of this class on purpose: torch's reader checks the exact type.
    def __new__(cls, *_: object, **__: object) -> "OrderedDict[Any, Any]":  # type: ignore[misc]
        """Return an empty mapping."""
        return OrderedDict()


class _List:
    """Stand-in for a class of lists: torch's reader appends items to plain lists only."""

    # Not an instance of this class, for the same reason.
    def __new__(cls, *_: object, **__: object) -> list[Any]:  # type: ignore[misc]
        """Return an empty list."""
        return []


class _DryRun(pickle.Unpickler):
    """Unpickler that imports and builds nothing, and only checks that containers and calls fit together."""

    def __init__(self, file: BytesIO) -> None:
        """Read from a file in memory."""
        super().__init__(file)
        self.stand_ins: dict[str, type] = {}
        self._placeholders: dict[str, type[_Placeholder]] = {}

    def find_class(self, module: str, name: str) -> type[_Placeholder]:
        """Return a placeholder, which notes how it is filled, instead of importing the class."""
        full = f"{module}.{name}"
        if full not in self._placeholders:
            # Making a class takes long, and a hostile pickle can name millions; a checkpoint names a few dozen.
            if len(self._placeholders) == _MOST_CLASSES:
                raise ValueError(f"it names more than {_MOST_CLASSES:,} classes")
            self._placeholders[full] = self._make_placeholder(full)
        return self._placeholders[full]

    def _make_placeholder(self, full: str) -> type[_Placeholder]:
        stand_ins = self.stand_ins

        class Noting(_Placeholder):
            def __setitem__(self, key: object, value: object) -> None:
                stand_ins[full] = _Mapping

            def append(self, _: object) -> None:
                stand_ins[full] = _List

            extend = append

        return Noting

    def persistent_load(self, pid: object) -> _Placeholder:
        """Return a placeholder instead of reading the storage."""
        return _Placeholder()
