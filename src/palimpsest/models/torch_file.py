"""What `torch.save` wrote, read without running what a stranger may have written."""

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

_LARGEST_DESCRIPTION = 2**24
_LONGEST_TEXT = 1024


def read_torch_file(path: Path) -> object:
    """Read a file of `torch.save` with torch's `weights_only` reader.

    That reader runs nothing, but a description of 32 KiB can keep it busy for minutes: it searches its own messages,
    and these quote the file. So the description is gone through first, and what no state dict has is refused.

    Args:
        path: In torch's format since 1.6, a zip archive that is not packed.

    Returns:
        Tensors in the containers in which they were stored.

    Raises:
        CheckpointError: The file is missing, damaged or of an older format, or holds more than tensors.
        ResourceError: It would not fit into memory.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint {path}: check the path.")
    require_room(path, path.stat().st_size)
    try:
        _go_through(_description(path))
        with warnings.catch_warnings():
            # Of an old pickle protocol torch warns, and then reads it or not.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} holds more than tensors, and reading it could run code: save `model.state_dict()` alone, or as "
            "safetensors."
        ) from error
    # A damaged file leads torch and pickle into errors of almost any type.
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise CheckpointError(
            f"{path} can't be read as a file of torch.save ({reason}): give safetensors or a saved state dict."
        ) from error


def _description(path: Path) -> bytes:
    """The pickle in which torch describes what the archive's other files hold."""
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no zip archive, as torch has written them since version 1.6")
    with zipfile.ZipFile(path) as archive:
        # torch stores tensors as they are; packed ones could unpack to more than memory holds.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("it is a packed archive, which torch.save does not write")
        found = [entry for entry in archive.infolist() if entry.filename.endswith("/data.pkl")]
        if len(found) != 1 or found[0].file_size > _LARGEST_DESCRIPTION:
            raise ValueError(f"it has {len(found)} descriptions of its tensors, or a huge one")
        return archive.read(found[0])


def _go_through(description: bytes) -> None:
    """Refuse names of absurd length, and calls of what is no name: torch would quote them at any length."""
    for operation, argument, _ in pickletools.genops(description):
        if isinstance(argument, str | bytes) and len(argument) > _LONGEST_TEXT:
            raise ValueError(f"a text of {len(argument):,} characters in {operation.name}")
    _Rehearsal(BytesIO(description)).load()


class _Nothing(dict[Any, Any]):
    """Stands for whatever a description names: it takes arguments, state and items, and does nothing."""

    def __new__(cls, *_: object, **__: object) -> Self:
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()

    def __call__(self, *_: object) -> Self:
        raise pickle.UnpicklingError("it calls what it has made")

    def __setstate__(self, _: object) -> None:
        """Whatever it is."""

    # A dict has None there, which is no method that could be overridden; a description may use anything as a key.
    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)


# Python's own unpickler keeps what it remembers in a dict; the one in C makes room for any number that the file names.
# The library's stubs leave it out, so that a type checker knows neither it nor that it is a class.
class _Rehearsal(pickle._Unpickler):  # type: ignore[name-defined, misc]
    """Builds nothing that is named: only that containers and calls fit together is seen."""

    def find_class(self, module: str, name: str) -> type[_Nothing]:
        """Nothing is imported."""
        return _Nothing

    def persistent_load(self, pid: object) -> _Nothing:
        """A storage, which stays where it is."""
        return _Nothing()
