"""Callbacks that receive progress while a context lasts; without any, nothing is reported."""

from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol, Self

from palimpsest.progress.events import ProgressLine, Stage


class RunMetrics(Protocol):
    """The final metrics of a run, as callbacks need them."""

    def scalars(self) -> dict[str, float]:
        """Every single number by name."""
        ...

    def summary(self) -> str:
        """One line for a log."""
        ...


class Callback:
    """Receives the events of a run; every method does nothing unless overridden, and must not fail."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Release resources."""

    def on_run_start(self, folder: Path, config: Mapping[str, Any]) -> None:
        """A run starts or resumes."""

    def on_start(self, line: ProgressLine) -> None:
        """Long work starts."""

    def on_step(self, line: ProgressLine) -> None:
        """Steps of the work are done."""

    def on_end(self, line: ProgressLine) -> None:
        """The work is done or was abandoned."""

    def on_stage_end(self, stage: Stage) -> None:
        """A stage is finished."""

    def on_metrics(self, metrics: RunMetrics) -> None:
        """The run has its final metrics."""

    def on_run_end(self) -> None:
        """The run ends, finished or not."""


_callbacks: ContextVar[tuple[Callback, ...]] = ContextVar("callbacks", default=())
_stage: ContextVar[str] = ContextVar("stage", default="")


def callbacks() -> tuple[Callback, ...]:
    """The active callbacks."""
    return _callbacks.get()


def current_stage() -> str:
    """The stage that is being computed; empty between stages."""
    return _stage.get()


@contextmanager
def with_callbacks(*joining: Callback) -> Generator[None]:
    """Add callbacks while the context lasts."""
    with ExitStack() as stack:
        for callback in joining:
            stack.enter_context(callback)
        token = _callbacks.set((*_callbacks.get(), *joining))
        try:
            yield
        finally:
            _callbacks.reset(token)


@contextmanager
def in_stage(name: str) -> Generator[None]:
    """Assign the work of this context to a stage."""
    token = _stage.set(name)
    try:
        yield
    finally:
        _stage.reset(token)
