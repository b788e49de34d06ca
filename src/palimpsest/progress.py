"""One live line for a long stage, with rate and time left; silent where nobody watches."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

T = TypeVar("T")


class Line(Protocol):
    """What a stage tells about itself while it runs."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Say that `steps` more are done, and something short about them, such as the loss."""
        ...


class _Silent:
    def advance(self, steps: int = 1, note: str = "") -> None:
        """Nobody watches."""


class _Live:
    def __init__(self, progress: Progress, description: str, total: float) -> None:
        self._progress = progress
        self._task = progress.add_task(description, total=total, note="")

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Move the bar."""
        self._progress.update(self._task, advance=steps, note=note)

    def close(self) -> None:
        """Take the bar away; what a stage leaves behind is its one summary line."""
        self._progress.remove_task(self._task)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        """Steps per second."""
        return Text(f"{task.finished_speed or task.speed or 0:,.1f}/s", style="dim")


_display: ContextVar[Progress | None] = ContextVar("display", default=None)


@contextmanager
def live_progress(console: Console) -> Iterator[None]:
    """Show `progress_line`s on this console while the context lasts; a console that is no terminal stays quiet."""
    if not console.is_terminal:
        yield
        return
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        # A narrow terminal cuts the note short, and never the numbers.
        TextColumn(
            "[dim]{task.fields[note]}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
        ),
    )
    with Progress(*columns, console=console, transient=True, expand=True) as progress:
        token = _display.set(progress)
        try:
            yield
        finally:
            _display.reset(token)


@contextmanager
def progress_line(description: str, total: int) -> Iterator[Line]:
    """A line for `total` steps of work, shown where `live_progress` is on."""
    progress = _display.get()
    if progress is None:
        yield _Silent()
        return
    line = _Live(progress, description, total)
    try:
        yield line
    finally:
        line.close()


def track(steps: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Iterate, moving a line one step at a time."""
    with progress_line(description, total) as line:
        for step in steps:
            yield step
            line.advance()
