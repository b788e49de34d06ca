"""Values on disk: whole or absent, checked when read, never unpickled."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, get_args, get_origin, get_type_hints

import torch
from pydantic import TypeAdapter
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from palimpsest.errors import CheckpointError
from palimpsest.files import file_hash, write_json, write_text, written_whole
from palimpsest.memory import require_room

__all__ = [
    "Parameters",
    "Record",
    "file_hash",
    "parameters_hash",
    "read_tensors",
    "save_tensors",
    "tensor_hash",
    "write_json",
    "write_text",
    "written_whole",
]

Parameters = dict[str, Tensor]
"""A model's state dict: parameters and buffers by name."""

_LARGEST_HEADER = 2**25
_MOST_TENSORS = 2**16
_MOST_EMPTY = 2**16


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
    """The tensors and the string metadata of a safetensors file, which a stranger may have written.

    safetensors compares every tensor's place with the file's size before memory is taken; nothing is unpickled.

    Raises:
        CheckpointError: The file is missing, truncated, or not safetensors, or its header is absurd.
        ResourceError: Its tensors would not fit into memory.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no file {path}: check the path.")
    require_room(path, path.stat().st_size)
    try:
        _check_header_length(path)
        with safe_open(path, framework="pt") as file:  # pyright: ignore[reportPrivateImportUsage]
            names = file.keys()
            if len(names) > _MOST_TENSORS:
                raise ValueError(
                    f"its header names {len(names):,} tensors, and at most {_MOST_TENSORS:,} are read"
                )
            tensors = {name: file.get_tensor(name) for name in names}
            _refuse_endless(tensors)
            return tensors, dict(file.metadata() or {})
    # A forged header leads safetensors and torch into errors of almost any type.
    except Exception as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({_brief(error)}): fetch or make it again."
        ) from error


@dataclasses.dataclass(frozen=True)
class Record:
    """A frozen value that can be stored: a subclass is a dataclass of tensors, state dicts, plain data and records.

    It is printed without its numbers, so that no log and no traceback holds somebody's pixels.
    """

    def __init_subclass__(cls) -> None:
        # The dataclass decorator leaves a method alone that the class itself defines.
        cls.__repr__ = _summary

    def save(self, path: Path) -> None:
        """Write the value to one safetensors file: tensors as tensors, everything else as JSON in its metadata.

        Raises:
            ResourceError: The disk is full.
            RunError: The folder can't be written.
        """
        tensors: dict[str, Tensor] = {}
        plain = self._pack("", tensors)
        metadata = {"record": plain.pop("record"), "fields": json.dumps(plain)}
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
                f"{path} holds {metadata.get('record', 'tensors without a name')[:80]!r}, not {cls.__name__!r}: "
                "give the file that the same stage wrote."
            )
        try:
            return cls._unpack(json.loads(metadata["fields"]), "", tensors)
        # RecursionError: JSON that is nested thousands of levels deep.
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise CheckpointError(
                f"{path} lacks part of a {cls.__name__} ({_brief(error)}): it was written by another version; "
                "make it again."
            ) from error

    def _pack(self, prefix: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
        """The plain data of this record and of those in it; their tensors are put beside it under their paths."""
        plain: dict[str, Any] = {"record": type(self).__name__}
        for name, kind in _fields(type(self)):
            path, nested = f"{prefix}{name}", _record_in(kind)
            value: Any = getattr(self, name)
            if nested is not None and nested is kind:
                plain[name] = value._pack(f"{path}/", tensors)
            elif nested is not None:
                plain[name] = [one._pack(f"{path}/{index}/", tensors) for index, one in enumerate(value)]
            elif kind == Parameters:
                tensors |= {f"{path}/{key}": tensor for key, tensor in value.items()}
            elif kind not in (Tensor, Tensor | None):
                plain[name] = TypeAdapter(kind).dump_python(value, mode="json")
            elif value is not None:
                tensors[path] = value
        return plain

    @classmethod
    def _unpack(cls, plain: dict[str, Any], prefix: str, tensors: dict[str, Tensor]) -> Self:
        values: dict[str, Any] = {}
        for name, kind in _fields(cls):
            path, nested = f"{prefix}{name}", _record_in(kind)
            if kind is Tensor or (kind == Tensor | None and path in tensors):
                values[name] = tensors[path]
            elif kind == Tensor | None:
                values[name] = None
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


def _summary(self: object) -> str:
    """A value's type, and its tensors' shapes."""
    fields = dataclasses.fields(self)  # pyright: ignore[reportArgumentType]
    shapes = [
        f"{field.name}={list(value.shape)}"
        for field in fields
        if isinstance(value := getattr(self, field.name), Tensor)
    ]
    return f"<{type(self).__name__} {' '.join(shapes)}>".replace(" >", ">")


def _check_header_length(path: Path) -> None:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > min(_LARGEST_HEADER, max(0, path.stat().st_size - 8)):
        raise ValueError(f"its {path.stat().st_size:,} bytes can't hold a header of {length:,}")


def _refuse_endless(tensors: Mapping[str, Tensor]) -> None:
    """Rows without a value cost a file nothing, and whoever goes through them would never end."""
    for name, tensor in tensors.items():
        if not tensor.numel() and max(tensor.shape) > _MOST_EMPTY:
            raise ValueError(f"{name[:80]!r} of shape {list(tensor.shape)} has rows without values")


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


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
