"""Long work, step by step: how fast it goes, and how long it will take."""

import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from palimpsest.progress.watcher import current_stage, watchers

T = TypeVar("T")


@dataclass(eq=False)
class Work:
    """Work of many steps, that says how far it is.

    Args:
        description: What is done, in a word or three.
        total: All steps.
        done: Steps done.
        stage: The run's stage that it belongs to.
        values: What was measured last, such as the loss, by name.
    """

    description: str
    total: int
    done: int = 0
    stage: str = field(default_factory=current_stage)
    values: dict[str, float] = field(default_factory=dict)
    _start: float = field(init=False)
    _before: int = field(init=False)

    def __post_init__(self) -> None:
        self._start, self._before = time.monotonic(), self.done

    def advance(self, steps: int = 1, values: Mapping[str, float] | None = None) -> None:
        """Say that some steps more are done.

        Args:
            steps: How many.
            values: What was measured, such as `{"loss": 0.1}`.
        """
        self.done += steps
        self.values = dict(values or {})
        for watcher in watchers():
            watcher.moved(self)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._start

    @property
    def rate(self) -> float:
        """Steps a second; those that an earlier process did are not counted."""
        return (self.done - self._before) / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """What the rest will take at this rate; none before the first step."""
        return (self.total - self.done) / self.rate if self.done > self._before else None

    def __str__(self) -> str:
        parts = [f"{self.done:,}/{self.total:,}", f"{self.rate:,.1f}/s"]
        if self.seconds_left is not None:
            parts.append(f"{clock(self.seconds_left)} left")
        return ", ".join([f"{self.description} {parts[0]}", *parts[1:], *filter(None, [note(self.values)])])


def note(values: Mapping[str, float]) -> str:
    """What was measured last, in a few words."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def clock(seconds: float) -> str:
    """A time as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


@contextmanager
def progress_line(description: str, total: int, *, done: int = 0) -> Generator[Work]:
    """Tell whoever watches about work while the context lasts.

    Args:
        description: What is done, in a word or three.
        total: All steps.
        done: Those that an earlier process has done.
    """
    work = Work(description, total, done)
    for watcher in watchers():
        watcher.began(work)
    try:
        yield work
    finally:
        for watcher in watchers():
            watcher.ended(work)


def track(steps: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Iterate, and tell each step."""
    with progress_line(description, total) as work:
        for step in steps:
            yield step
            work.advance()
