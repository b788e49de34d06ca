"""Records: frozen dataclasses that are stored as safetensors, with plain data as JSON in the metadata."""

import dataclasses
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

from palimpsest.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Record:
    """Base class of values that can be stored: frozen dataclasses of tensors, state dicts, plain data and records.

    The representation has shapes but no values, so that no log and no traceback contains people's pixels.
    """

    def __init_subclass__(cls) -> None:
        """Give the subclass a representation without values."""
        # The dataclass decorator does not replace a method that the class defines.
        cls.__repr__ = _summary

    def save(self, path: Path) -> None:
        """Write the record to one safetensors file.

        Raises:
            ResourceError: The disk is full.
            RunError: The folder can't be written.
        """
        # Imported late because a program that only reads metrics needs no torch.
        from palimpsest.storage.tensors import save_tensors

        tensors: dict[str, Tensor] = {}
        plain = self._pack("", tensors)
        metadata = {"record": plain.pop("record"), "fields": json.dumps(plain)}
        save_tensors(path, tensors, metadata)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Load a record.

        Raises:
            CheckpointError: The file is missing, truncated, or holds something else.
        """
        from palimpsest.storage.tensors import brief, read_tensors

        tensors, metadata = read_tensors(path)
        if metadata.get("record") != cls.__name__:
            raise CheckpointError(
                f"{path} holds {metadata.get('record', 'tensors without a record')[:80]!r}, expected "
                f"{cls.__name__!r}. Pass the file of the right stage."
            )
        try:
            return cls._unpack(json.loads(metadata["fields"]), "", tensors)
        # A RecursionError comes from JSON that is nested thousands of levels deep.
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise CheckpointError(
                f"{path} is not a complete {cls.__name__} ({brief(error)}). It may be damaged or of another version. "
                "Create it again."
            ) from error

    def _pack(self, prefix: str, tensors: "dict[str, Tensor]") -> dict[str, Any]:
        """Return the plain data of this record and of nested ones, and add their tensors to `tensors` by path."""
        from torch import Tensor

        from palimpsest.storage.tensors import Parameters

        plain: dict[str, Any] = {"record": type(self).__name__}
        for name, kind in _fields(type(self)):
            path, nested = f"{prefix}{name}", _record_in(kind)
            value: Any = getattr(self, name)
            if nested is not None and nested is kind:
                plain[name] = value._pack(f"{path}/", tensors)
            elif nested is not None:
                plain[name] = [
                    record._pack(f"{path}/{index}/", tensors) for index, record in enumerate(value)
                ]
            elif kind == Parameters:
                tensors |= {f"{path}/{key}": tensor for key, tensor in value.items()}
            elif kind not in (Tensor, Tensor | None):
                plain[name] = TypeAdapter(kind).dump_python(value, mode="json")
            elif value is not None:
                tensors[path] = value
        return plain

    @classmethod
    def _unpack(cls, plain: dict[str, Any], prefix: str, tensors: "dict[str, Tensor]") -> Self:
        from torch import Tensor

        from palimpsest.storage.tensors import Parameters

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
                    nested._named(record)._unpack(record, f"{path}/{index}/", tensors)
                    for index, record in enumerate(plain[name])
                )
            else:
                values[name] = TypeAdapter(kind).validate_python(plain[name])
        return cls(**values)

    @classmethod
    def _named(cls, plain: dict[str, Any]) -> type[Self]:
        """Return this type, or the subclass that the stored data names."""
        name = plain["record"]
        if cls.__name__ == name:
            return cls
        for kind in cls.__subclasses__():
            with suppress(KeyError):
                return kind._named(plain)
        raise KeyError(name)


def _summary(self: object) -> str:
    """Return a record's type and the shapes of its tensors."""
    from torch import Tensor

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
    """Return the record type of a field that holds a record or a tuple of records, otherwise None."""
    inner = get_args(kind)[0] if get_origin(kind) is tuple else kind
    return inner if isinstance(inner, type) and issubclass(inner, Record) else None
