"""Public API as text, with every name and its signature on a line. Run this file to record the API of a release."""

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import palimpsest

SNAPSHOT = Path(__file__).parents[2] / "docs" / "public-api.txt"


PAGE = Path(__file__).parents[2] / "docs" / "reference" / "python.md"


def below() -> dict[str, Any]:
    """Return the names of the package's modules, by path, that the reference documents for extensions and Flower."""
    paths = re.findall(
        r"^::: (palimpsest\.(?!api\.)\w+\.\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    found = {
        path: getattr(importlib.import_module(path.rpartition(".")[0]), path.rpartition(".")[2])
        for path in paths
    }
    listed = [getattr(palimpsest, name) for name in palimpsest.__all__]
    return {path: value for path, value in found.items() if not any(value is other for other in listed)}


def describe() -> dict[str, str]:
    """Return each public name, with members of classes as `Class.member`, and its signature."""
    listed = {name: getattr(palimpsest, name) for name in palimpsest.__all__}
    return dict(line for name, value in (listed | below()).items() for line in _lines(name, value))


def as_text(described: dict[str, str]) -> str:
    return "".join(f"{name}{what}\n" for name, what in sorted(described.items()))


def from_text(text: str) -> dict[str, str]:
    """Parse the result of `as_text`."""
    lines = {}
    for line in text.splitlines():
        end = min(place for place in (*map(line.find, "(: "), len(line)) if place > 0)
        lines[line[:end]] = line[end:]
    return lines


def _lines(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if inspect.isclass(value):
        yield from _class_lines(name, value)
    elif callable(value):
        yield name, _signature(value)
    else:
        yield name, f": {type(value).__name__}"


def _class_lines(name: str, kind: type) -> Iterator[tuple[str, str]]:
    bases = ", ".join(base.__name__ for base in kind.__bases__ if base is not object)
    yield name, f" class({bases})"
    if issubclass(kind, BaseModel):
        for key, info in kind.model_fields.items():
            yield f"{name}.{key}", f": {_written(info.annotation)}{' required' if info.is_required() else ''}"
    elif dataclasses.is_dataclass(kind):
        for field in dataclasses.fields(kind):
            missing = field.default is field.default_factory is dataclasses.MISSING
            yield f"{name}.{field.name}", f": {_written(field.type)}{' required' if missing else ''}"
    made = (
        issubclass(kind, BaseModel) or dataclasses.is_dataclass(kind) or getattr(kind, "_is_protocol", False)
    )
    special = {"__call__"} if made else {"__call__", "__init__"}
    for key, member in vars(kind).items():
        if (key.startswith("_") and key not in special) or key in ("model_config", "model_post_init"):
            continue
        if isinstance(member, property):
            yield f"{name}.{key}", f": {_written(inspect.signature(member.fget).return_annotation)} property"
        elif isinstance(member, classmethod | staticmethod) or inspect.isfunction(member):
            yield f"{name}.{key}", _signature(getattr(kind, key))


def _signature(function: Any) -> str:
    return _short(str(inspect.signature(function)))


def _written(annotation: Any) -> str:
    return _short(inspect.formatannotation(annotation))


def _short(text: str) -> str:
    # The module that defines a type differs between versions of Python and is not part of the API.
    return re.sub(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", text)


if __name__ == "__main__":
    SNAPSHOT.write_text(as_text(describe()), encoding="utf-8")
