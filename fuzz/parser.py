"""Description of a reader of untrusted files, with its limits."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20


@dataclass(frozen=True)
class Parser:
    """Reader of one kind of untrusted file.

    Args:
        seeds: Function that returns valid files of this kind, and may use an empty folder to make them.
        read: Function that reads the file at a path as the program does. The only exception that it may raise is
            `PalimpsestError`.
        suffix: Suffix of the file's name.
        tokens: Keywords of the format.
        slack: Memory in bytes that reading may use beyond four times the file size, for example for an image's pixels.
    """

    seeds: Callable[[Path], list[bytes]]
    read: Callable[[Path], object]
    suffix: str
    tokens: tuple[bytes, ...] = ()
    slack: int = 64 * MIB
