"""The base of whatever receives progress."""

from collections.abc import Mapping
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

    def on_warning(self, message: str) -> None:
        """Something needs the user's attention; the run goes on."""
