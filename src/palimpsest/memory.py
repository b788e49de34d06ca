"""Amounts of memory, as people write them."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def parse_bytes(value: object) -> int:
    """A number of bytes from `4GiB`, `500 MB` or a plain number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMG]i?B|B)\s*", str(value))
    if match is None:
        raise ValueError(f"{value!r} is not an amount of memory, such as '4GiB' or '500MB'")
    return int(float(match[1]) * _UNITS[match[2]])


def format_bytes(count: int) -> str:
    """The shortest exact spelling that `parse_bytes` reads back."""
    for unit in ("GiB", "MiB", "KiB"):
        if count % _UNITS[unit] == 0:
            return f"{count // _UNITS[unit]}{unit}"
    return f"{count}B"


Bytes = Annotated[
    int,
    BeforeValidator(parse_bytes, json_schema_input_type=str),
    PlainSerializer(format_bytes),
    Field(ge=64 * 2**20),
]
"""An amount of memory, at least 64 MiB."""
