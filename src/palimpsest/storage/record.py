"""Frozen values that store themselves: tensors as safetensors, everything else as JSON in the metadata."""

import dataclasses
import json
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter
from torch import Tensor

from palimpsest.errors import CheckpointError
from palimpsest.storage.tensors import Parameters, brief, read_tensors, save_tensors


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
                f"{path} lacks part of a {cls.__name__} ({brief(error)}): it was written by another version; "
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


def _fields(kind: type[Record]) -> list[tuple[str, Any]]:
    hints = get_type_hints(kind)
    return [(field.name, hints[field.name]) for field in dataclasses.fields(kind)]


def _record_in(kind: Any) -> type[Record] | None:
    """The record type that a field's type is, or is a tuple of."""
    inner = get_args(kind)[0] if get_origin(kind) is tuple else kind
    return inner if isinstance(inner, type) and issubclass(inner, Record) else None
