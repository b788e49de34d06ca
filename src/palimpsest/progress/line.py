"""Progress of long work, reported to the active callbacks."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from palimpsest.progress.context import callbacks, current_stage
from palimpsest.progress.events import ProgressLine

T = TypeVar("T")


@contextmanager
def progress_line(description: str, total: int, *, done: int = 0) -> Generator[ProgressLine]:
    """Report work to the active callbacks while the context lasts.

    Args:
        description: What is done, in one to three words.
        total: The number of all steps.
        done: Steps that an earlier process has done.
    """
    line = ProgressLine(description, total, done, current_stage(), _report_step)
    for callback in callbacks():
        callback.on_start(line)
    try:
        yield line
    finally:
        for callback in callbacks():
            callback.on_end(line)


def track(steps: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Iterate, and report each step."""
    with progress_line(description, total) as line:
        for step in steps:
            yield step
            line.advance()


def _report_step(line: ProgressLine) -> None:
    for callback in callbacks():
        callback.on_step(line)
