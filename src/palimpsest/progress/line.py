"""Functions that report the progress of long work to the active callbacks."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from palimpsest.progress.context import callbacks, current_stage
from palimpsest.progress.events import ProgressLine

T = TypeVar("T")


@contextmanager
def progress_line(description: str, total: int, *, done: int = 0) -> Generator[ProgressLine]:
    """Report the progress of work within the context to the active callbacks.

    Args:
        description: A description of one to three words.
        total: Total number of steps.
        done: Number of steps that an earlier process finished.

    Yields:
        The progress line; call its `advance` after each step.
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
    """Iterate over steps and report each of them.

    Args:
        steps: The steps.
        description: A description of one to three words.
        total: Total number of steps.
    """
    with progress_line(description, total) as line:
        for step in steps:
            yield step
            line.advance()


def _report_step(line: ProgressLine) -> None:
    for callback in callbacks():
        callback.on_step(line)
