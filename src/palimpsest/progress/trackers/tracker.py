"""The callback that sends training curves and final scores to an experiment tracker, but never an image."""

from collections import Counter
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Protocol

from palimpsest.distribution import install_command
from palimpsest.errors import ConfigurationError
from palimpsest.progress.callback import Callback, RunMetrics
from palimpsest.progress.context import warn
from palimpsest.progress.events import ProgressLine, Stage


class Backend(Protocol):
    """A run in a tracker."""

    def scalar(self, series: str, step: int, value: float) -> None:
        """Record a point of a series; the part of its name before the last slash is its group."""
        ...

    def finish(self, summary: Mapping[str, float]) -> None:
        """Record the final numbers, if any, and end the run."""
        ...


class Tracker(Callback):
    """Sends the measurements of one or more runs to a tracker.

    If the tracker fails, a warning says so once and tracking stops. The run continues.

    Args:
        start: Begins a run in the tracker, given the run folder and its configuration.
    """

    def __init__(self, start: Callable[[Path, Mapping[str, Any]], Backend]) -> None:
        """Remember how to begin a run in the tracker."""
        self._start = start
        self._backend: Backend | None = None
        self._counts: Counter[tuple[str, str]] = Counter()
        self._summary: dict[str, float] = {}

    def __exit__(self, *_: object) -> None:
        """End the current run."""
        self.on_run_end()

    def on_run_start(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Begin a run."""
        self.on_run_end()
        self._counts.clear()
        self._summary = {}
        self._guard(lambda: setattr(self, "_backend", self._start(folder, public(config))))

    def on_start(self, line: ProgressLine) -> None:
        """Count the work, because repeated work of the same name gets a new series."""
        self._counts[line.stage, line.description] += 1

    def on_step(self, line: ProgressLine) -> None:
        """Record a point of each series."""
        count = self._counts[line.stage, line.description]
        group = "/".join(filter(None, [line.stage, line.description]))
        for name, value in line.values.items():
            self._send(f"{group} {count}/{name}" if count > 1 else f"{group}/{name}", line.done, value)

    def on_stage_end(self, stage: Stage) -> None:
        """Remember the running time for the summary."""
        self._summary[f"seconds/{stage.name}"] = stage.seconds

    def on_metrics(self, metrics: RunMetrics) -> None:
        """Remember the metrics for the summary."""
        self._summary |= metrics.scalars()

    def on_run_end(self) -> None:
        """Send the summary and end the run."""
        backend, self._backend = self._backend, None
        if backend is not None:
            self._guard(lambda: backend.finish(self._summary))

    def _send(self, series: str, step: int, value: float) -> None:
        backend = self._backend
        if backend is not None:
            self._guard(lambda: backend.scalar(series, step, value))

    def _guard(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # a tracker's client may raise anything
            self._backend = None
            warn(f"Tracking stopped ({type(error).__name__}: {str(error)[:300]}). The run continues.")


def tracker_names() -> list[str]:
    """Return the names of the trackers, which are the other modules of this package."""
    return sorted(
        module.name for module in iter_modules([str(Path(__file__).parent)]) if module.name != "tracker"
    )


def make_tracker(name: str) -> Tracker:
    """Return the callback of a tracker.

    Args:
        name: One of `tracker_names`.

    Raises:
        ConfigurationError: There is no such tracker, or its package is not installed.
    """
    if name not in tracker_names():
        raise ConfigurationError(
            f"There is no tracker {name[:200]!r}. Accepted: {', '.join(tracker_names())}."
        )
    try:
        module = import_module(f"{__package__}.{name}")
    except ImportError as error:
        raise ConfigurationError(
            f"Tracking with {name} needs a package that is not installed: {install_command('tracking')}."
        ) from error
    return Tracker(module.start)


def public(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration without the indices of forgotten samples."""
    unlearning = config.get("unlearning")
    if not isinstance(unlearning, Mapping) or not unlearning.get("indices"):
        return dict(config)
    return {**config, "unlearning": {**unlearning, "indices": f"{len(unlearning['indices'])}, left out"}}
