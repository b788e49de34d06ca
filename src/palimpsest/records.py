"""Values on disk: whole or absent, checked when read, never unpickled."""

import dataclasses
import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self, get_args, get_origin, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from palimpsest.errors import CheckpointError, ResourceError, RunError

Parameters = dict[str, Tensor]
"""A model's state dict: parameters and buffers by name."""


@contextmanager
def written_whole(path: Path, *, private: bool = True) -> Iterator[Path]:
    """A temporary path that takes the place of `path` once all is on disk, so that no reader sees half a file.

    Args:
        path: Where the file shall stand.
        private: Readable by its owner only: the file may hold somebody's images.

    Raises:
        ResourceError: The disk is full.
        RunError: The folder can't be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.chmod(0o600 if private else 0o644)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _explain(error, path) from error
    except SafetensorError as error:
        # safetensors reports a failed write in words only.
        if "No space left" in str(error) or "os error 28" in str(error):
            raise _full(path) from error
        raise RunError(f"{path} can't be written: {error}. Choose a folder that you may write to.") from error
    finally:
        # Where the folder itself could not be made, there is nothing to remove either.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str, *, private: bool = True) -> None:
    """Write a text file, whole or not at all; arguments and errors as for `written_whole`."""
    with written_whole(path, private=private) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def file_hash(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def tensor_hash(*tensors: Tensor) -> str:
    """The SHA-256 of tensors' types, shapes and values, in hexadecimal."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def parameters_hash(parameters: Parameters) -> str:
    """The SHA-256 of a state dict: names, types, shapes and values, in hexadecimal."""
    names = sorted(parameters)
    text = "\n".join(names) + tensor_hash(*(parameters[name] for name in names))
    return hashlib.sha256(text.encode()).hexdigest()


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file, whole or not at all; the same values give the same bytes.

    Args:
        path: Where the file shall stand.
        tensors: Tensors by name, on any device, of any layout.
        metadata: Strings by name.

    Raises:
        ResourceError: The disk is full.
        RunError: The folder can't be written.
    """
    with written_whole(path) as temporary:
        save_file(_storable(tensors), temporary, metadata)
        _sort_header(temporary)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and the string metadata of a safetensors file.

    Raises:
        CheckpointError: The file is missing, truncated, or not safetensors.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no file {path}: check the path.")
    try:
        with safe_open(path, framework="pt") as file:  # pyright: ignore[reportPrivateImportUsage]
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({error}): fetch or make it again."
        ) from error


@dataclasses.dataclass(frozen=True)
class Record:
    """A frozen value that can be stored: a subclass is a dataclass of tensors, state dicts, plain data and records."""

    def save(self, path: Path) -> None:
        """Write the value to one safetensors file: tensors as tensors, everything else as JSON in its metadata.

        Raises:
            ResourceError: The disk is full.
            RunError: The folder can't be written.
        """
        tensors: dict[str, Tensor] = {}
        plain = self._pack("", tensors)
        metadata = {"record": plain.pop("record"), "fields": json.dumps(plain, sort_keys=True)}
        save_tensors(path, tensors, metadata)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the value back.

        Raises:
            CheckpointError: The file is missing, truncated, or holds something else.
        """
        tensors, metadata = read_tensors(path)
        if metadata.get("record") != cls.__name__:
            raise CheckpointError(
                f"{path} holds {metadata.get('record', 'tensors without a name')!r}, not {cls.__name__!r}: "
                "give the file that the same stage wrote."
            )
        try:
            return cls._unpack(json.loads(metadata["fields"]), "", tensors)
        except (KeyError, TypeError, ValueError, ValidationError) as error:
            raise CheckpointError(
                f"{path} lacks part of a {cls.__name__} ({error}): it was written by another version; "
                "make it again."
            ) from error

    def _pack(self, prefix: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
        """The plain data of this record and of those in it; their tensors are put beside it under their paths."""
        plain: dict[str, Any] = {"record": type(self).__name__}
        for name, kind in _fields(type(self)):
            value, path = getattr(self, name), f"{prefix}{name}"
            if kind is Tensor:
                tensors[path] = value
            elif kind == Parameters:
                tensors |= {f"{path}/{key}": tensor for key, tensor in value.items()}
            elif isinstance(value, Record):
                plain[name] = value._pack(f"{path}/", tensors)
            elif _record_in(kind):
                plain[name] = [one._pack(f"{path}/{index}/", tensors) for index, one in enumerate(value)]
            else:
                plain[name] = TypeAdapter(kind).dump_python(value, mode="json")
        return plain

    @classmethod
    def _unpack(cls, plain: dict[str, Any], prefix: str, tensors: dict[str, Tensor]) -> Self:
        values: dict[str, Any] = {}
        for name, kind in _fields(cls):
            path, nested = f"{prefix}{name}", _record_in(kind)
            if kind is Tensor:
                values[name] = tensors[path]
            elif kind == Parameters:
                values[name] = {
                    key.removeprefix(f"{path}/"): tensor
                    for key, tensor in tensors.items()
                    if key.startswith(f"{path}/")
                }
            elif nested and nested is kind:
                values[name] = nested._named(plain[name])._unpack(plain[name], f"{path}/", tensors)
            elif nested:
                values[name] = tuple(
                    nested._named(one)._unpack(one, f"{path}/{index}/", tensors)
                    for index, one in enumerate(plain[name])
                )
            else:
                values[name] = TypeAdapter(kind).validate_python(plain[name])
        return cls(**values)

    @classmethod
    def _named(cls, plain: dict[str, Any]) -> type[Self]:
        """This type or the one below it that the stored data names."""
        name = plain["record"]
        if cls.__name__ == name:
            return cls
        for kind in cls.__subclasses__():
            with suppress(KeyError):
                return kind._named(plain)
        raise KeyError(name)


def _fields(kind: type[Record]) -> list[tuple[str, Any]]:
    hints = get_type_hints(kind)
    return [(field.name, hints[field.name]) for field in dataclasses.fields(kind)]


def _record_in(kind: Any) -> type[Record] | None:
    """The record type that a field's type is, or is a tuple of."""
    inner = get_args(kind)[0] if get_origin(kind) is tuple else kind
    return inner if isinstance(inner, type) and issubclass(inner, Record) else None


def _storable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors on the CPU that own their memory: safetensors refuses views and weights that are tied."""
    owned: dict[str, Tensor] = {}
    places: set[int] = set()
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        if value.untyped_storage().nbytes() != value.nbytes or value.data_ptr() in places:
            value = value.clone()
        places.add(value.data_ptr())
        owned[name] = value
    return owned


def _sort_header(path: Path) -> None:
    """Give the metadata an order of their own: safetensors writes them in that of a hash seeded anew each time."""
    with path.open("rb+") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        if "__metadata__" in header:
            header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        assert len(text) <= length, "sorting does not lengthen a header"
        file.seek(8)
        file.write(text.ljust(length))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _full(path: Path) -> ResourceError:
    return ResourceError(
        f"The disk is full: {path} was not written. Make room and run the same command again; "
        "finished stages are kept."
    )


def _explain(error: OSError, path: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(path)
    reason = error.strerror or error
    return RunError(f"{path} can't be written ({reason}): choose a folder that you may write to.")
