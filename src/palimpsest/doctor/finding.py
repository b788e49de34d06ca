"""What an examination finds, a sentence at a time."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from palimpsest.errors import PalimpsestError

T = TypeVar("T")


class Level(StrEnum):
    """How a piece fits."""

    FITS = "fits"
    """As it should be."""
    MIND = "mind"
    """The attack runs, and its result may mean something else than it seems to."""
    FAULT = "fault"
    """The attack would be refused, or fail, or be worth nothing."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        level: How it fits.
        piece: What was looked at, in a word or two.
        sentence: What was found, and what to do.
    """

    level: Level
    piece: str
    sentence: str


def fits(piece: str, sentence: str) -> Finding:
    """A piece that is as it should be."""
    return Finding(Level.FITS, piece, sentence)


def mind(piece: str, sentence: str) -> Finding:
    """A piece that may mislead."""
    return Finding(Level.MIND, piece, sentence)


def fault(piece: str, sentence: str) -> Finding:
    """A piece that does not fit."""
    return Finding(Level.FAULT, piece, sentence)


def tried(piece: str, make: Callable[[], T]) -> Generator[Finding, None, T | None]:
    """A value, or the finding that it can't be had."""
    try:
        return make()
    except PalimpsestError as error:
        yield fault(piece, str(error))
        return None


def guarded(piece: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Findings, the last of them that there can be no more."""
    try:
        yield from findings
    except PalimpsestError as error:
        yield fault(piece, str(error))
