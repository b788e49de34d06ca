"""Who watches a run, and what is told: to nobody, unless somebody asked."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from palimpsest.progress.work import Work


@dataclass(frozen=True)
class Stage:
    """A finished stage of a run.

    Args:
        name: Its name.
        seconds: What it took; if it was kept, then when it was made.
        peak_memory: Bytes that the process held at most; 0 for a stage that was kept.
        kept: Whether it was read back and not made now.
    """

    name: str
    seconds: float
    peak_memory: float = 0
    kept: bool = False

    def __str__(self) -> str:
        if self.kept:
            return f"kept; it took {self.seconds:.1f} s"
        return f"{self.seconds:.1f} s, peak {self.peak_memory / 2**30:.1f} GiB"


class Watcher:
    """Somebody who is told what happens; each of the methods does nothing unless it is replaced, and must not fail."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nobody watches any longer."""

    def opened(self, folder: Path, config: Mapping[str, Any]) -> None:
        """A run begins, or goes on."""

    def began(self, work: "Work") -> None:
        """Long work begins."""

    def moved(self, work: "Work") -> None:
        """Some of it is done."""

    def ended(self, work: "Work") -> None:
        """It is done, or was given up."""

    def finished(self, stage: Stage) -> None:
        """A stage is finished."""

    def scored(self, metrics: Mapping[str, Any]) -> None:
        """The run has come to its numbers, those of `metrics.json`."""

    def closed(self) -> None:
        """The run ends, finished or not."""


_watchers: ContextVar[tuple[Watcher, ...]] = ContextVar("watchers", default=())
_stage: ContextVar[str] = ContextVar("stage", default="")


def watchers() -> tuple[Watcher, ...]:
    """All who watch now."""
    return _watchers.get()


def current_stage() -> str:
    """The stage that is being made; empty between stages."""
    return _stage.get()


@contextmanager
def watching(*joining: Watcher) -> Generator[None]:
    """Let these watch as well, while the context lasts."""
    with ExitStack() as stack:
        for watcher in joining:
            stack.enter_context(watcher)
        token = _watchers.set((*_watchers.get(), *joining))
        try:
            yield
        finally:
            _watchers.reset(token)


@contextmanager
def in_stage(name: str) -> Generator[None]:
    """Say that what is done in this context belongs to a stage."""
    token = _stage.set(name)
    try:
        yield
    finally:
        _stage.reset(token)
