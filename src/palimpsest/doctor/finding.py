"""One finding of an examination: its level, its subject and a message."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from palimpsest.errors import PalimpsestError

T = TypeVar("T")


class Level(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    """The artifact is as it should be."""
    WARNING = "warning"
    """The attack runs, but its result may be misleading."""
    ERROR = "error"
    """The attack would be refused, would fail, or would measure nothing."""


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Args:
        level: The severity of the finding.
        subject: The artifact or property that was checked, in one or two words, such as `auxiliary`.
        message: The result, and the remedy if there is a problem.
    """

    level: Level
    subject: str
    message: str


def ok(subject: str, message: str) -> Finding:
    """Report an artifact that is as it should be."""
    return Finding(Level.OK, subject, message)


def warning(subject: str, message: str) -> Finding:
    """Report an artifact that may make the result misleading."""
    return Finding(Level.WARNING, subject, message)


def error(subject: str, message: str) -> Finding:
    """Report an artifact that the attack can't use."""
    return Finding(Level.ERROR, subject, message)


def tried(subject: str, make: Callable[[], T]) -> Generator[Finding, None, T | None]:
    """Return what `make` returns; if it fails, yield its error as a finding and return None."""
    try:
        return make()
    except PalimpsestError as problem:
        yield error(subject, str(problem))
        return None


def guarded(subject: str, findings: Iterator[Finding]) -> Iterator[Finding]:
    """Yield findings; if a check raises an error, yield it as the last finding."""
    try:
        yield from findings
    except PalimpsestError as problem:
        yield error(subject, str(problem))
