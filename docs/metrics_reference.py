"""Reference of `metrics.json` and `evidence.json`: tables and JSON schemas. Run this file to write the schemas."""

import dataclasses
import inspect
import json
import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from palimpsest.metrics import Metrics
from palimpsest.report import Evidence

_FOLDER = Path(__file__).parent / "reference"
_FILES: dict[str, type[BaseModel]] = {"metrics": Metrics, "evidence": Evidence}
SCHEMAS = {_FOLDER / f"{name}.schema.json": kind for name, kind in _FILES.items()}
"""The schema file of each kind of contents."""
_ARGUMENT = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Insert the tables into pages that have their marks; called by mkdocs."""
    for name, kind in _FILES.items():
        mark = f"<!-- {name} -->"
        if mark in markdown:
            markdown = markdown.replace(mark, reference_table(kind))
    return markdown


def reference_table(kind: type[BaseModel]) -> str:
    """Return every key of a file with its type and meaning as a Markdown table.

    Args:
        kind: The model of the file's contents.
    """
    lines = ["| key | type | meaning |", "| --- | --- | --- |"]
    lines += (f"| `{key}` | {form} | {meaning} |" for key, form, meaning in _rows(kind, ""))
    return "\n".join(lines)


def json_schema(kind: type[BaseModel]) -> str:
    """Return the JSON schema of a file, with a description for every key.

    Args:
        kind: The model of the file's contents.
    """
    schema = kind.model_json_schema(mode="serialization")
    for below in _kinds(kind, set()):
        definition = schema["$defs"].get(below.__name__)
        for name, meaning in {} if definition is None else _meanings(below).items():
            definition["properties"][name]["description"] = meaning
        if definition is not None:
            definition["description"] = _purpose(below)
    return json.dumps(schema, indent=2) + "\n"


def _rows(kind: type, prefix: str) -> Iterator[tuple[str, str, str]]:
    meanings = _meanings(kind)
    for name, annotation in _fields(kind).items():
        below, suffix = _inner(annotation)
        yield f"{prefix}{name}{suffix}", _type(annotation), meanings[name].replace("|", r"\|")
        if below is not None:
            yield from _rows(below, f"{prefix}{name}{suffix}.")


def _kinds(kind: type, visited: set[type]) -> Iterator[type]:
    if kind in visited:
        return
    visited.add(kind)
    yield kind
    for annotation in _fields(kind).values():
        below, _ = _inner(annotation)
        if below is not None:
            yield from _kinds(below, visited)


def _fields(kind: type) -> dict[str, Any]:
    if issubclass(kind, BaseModel):
        return {name: info.annotation for name, info in kind.model_fields.items()}
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _inner(annotation: Any) -> tuple[type | None, str]:
    """Return the section type inside an annotation, and the suffix of its key, which is `.NAME` for a mapping."""
    if get_origin(annotation) is dict:
        below, suffix = _inner(get_args(annotation)[1])
        return below, f".NAME{suffix}"
    for option in get_args(annotation) or (annotation,):
        if isinstance(option, type) and (issubclass(option, BaseModel) or dataclasses.is_dataclass(option)):
            return option, ""
    return None, ""


def _type(annotation: Any) -> str:
    options = [option for option in get_args(annotation) if option is not type(None)]
    if get_origin(annotation) is Literal:
        return _type(type(options[0]))
    if get_origin(annotation) is dict:
        return _type(options[1])
    if get_origin(annotation) in (list, tuple):
        return "list"
    if options:
        return _type(options[0])
    names = {float: "number", int: "integer", str: "text", bool: "true or false"}
    return "text" if issubclass(annotation, StrEnum) else names.get(annotation, "section")


def _meanings(kind: type) -> dict[str, str]:
    """Read the meaning of each field from attribute docstrings, or from the `Args:` of a dataclass."""
    if issubclass(kind, BaseModel):
        return {name: " ".join((info.description or "").split()) for name, info in kind.model_fields.items()}
    document = (inspect.getdoc(kind) or "").partition("Args:\n")[2]
    return {name: " ".join(meaning.split()) for name, meaning in _ARGUMENT.findall(document)}


def _purpose(kind: type) -> str:
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split())


if __name__ == "__main__":
    for path, contents in SCHEMAS.items():
        path.write_text(json_schema(contents), encoding="utf-8")
