"""Base class of callbacks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from palimpsest.progress.events import ProgressLine, Stage


class RunMetrics(Protocol):
    """The final metrics of a run, as callbacks need them."""

    def scalars(self) -> dict[str, float]:
        """Return every scalar by name."""
        ...

    def summary(self) -> str:
        """Return a summary of one line for a log."""
        ...


class Callback:
    """Receives the events of a run.

    Every method does nothing by default. Overriding methods must not raise errors.

    Example:
        >>> class PrintStages(Callback):
        ...     def on_stage_end(self, stage):
        ...         print(stage.name)
        >>> with PrintStages() as callback:
        ...     callback.on_stage_end(Stage("train", 1.5))
        train
    """

    def __enter__(self) -> Self:
        """Return the callback."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release resources; the default does nothing."""

    def on_run_start(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Handle the start of a new or resumed run."""

    def on_start(self, line: ProgressLine) -> None:
        """Handle the start of long work."""

    def on_step(self, line: ProgressLine) -> None:
        """Handle finished steps of long work."""

    def on_end(self, line: ProgressLine) -> None:
        """Handle the end of long work, finished or not."""

    def on_stage_end(self, stage: Stage) -> None:
        """Handle a finished stage."""

    def on_metrics(self, metrics: RunMetrics) -> None:
        """Handle the final metrics of the run."""

    def on_run_end(self) -> None:
        """Handle the end of the run, finished or not."""

    def on_warning(self, message: str) -> None:
        """Handle a warning that does not stop the run."""
