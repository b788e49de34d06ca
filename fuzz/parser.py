"""What a reader of files that others wrote is held to."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20


@dataclass(frozen=True)
class Parser:
    """A reader of one kind of file.

    Args:
        seeds: Makes valid files of that kind, in an empty folder.
        read: Reads the file at a path, as the program does; it may raise nothing but a `PalimpsestError`.
        suffix: How such a file's name ends.
        tokens: Words that its format knows.
        slack: Bytes that a reader may take besides four times the file, such as an image's pixels.
    """

    seeds: Callable[[Path], list[bytes]]
    read: Callable[[Path], object]
    suffix: str
    tokens: tuple[bytes, ...] = ()
    slack: int = 64 * MIB
