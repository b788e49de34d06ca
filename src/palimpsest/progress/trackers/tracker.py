"""The callback that passes numbers to an experiment tracker: training curves and final scores, never an image."""

from collections import Counter
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Protocol

from palimpsest.errors import ConfigurationError
from palimpsest.progress.callback import Callback, RunMetrics
from palimpsest.progress.context import warn
from palimpsest.progress.events import ProgressLine, Stage


class Backend(Protocol):
    """One run in one tracker."""

    def scalar(self, series: str, step: int, value: float) -> None:
        """A point of a curve; the series' name has its group before the last slash."""
        ...

    def finish(self, summary: Mapping[str, float]) -> None:
        """The run's numbers in the end, none where it did not come to any; nothing follows."""
        ...


class Tracker(Callback):
    """Passes on what one audit after the other measures.

    A tracker that fails is told of once and left alone from then on: no audit ends because a server does not answer.

    Args:
        start: Begins a run: given its folder and its configuration.
        complain: Is told why a tracker failed.
    """

    def __init__(
        self, start: Callable[[Path, Mapping[str, Any]], Backend], complain: Callable[[str], None]
    ) -> None:
        self._start = start
        self._complain = complain
        self._backend: Backend | None = None
        self._begun: Counter[tuple[str, str]] = Counter()
        self._summary: dict[str, float] = {}

    def __exit__(self, *_: object) -> None:
        self.on_run_end()

    def on_run_start(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Begin a run."""
        self.on_run_end()
        self._begun.clear()
        self._summary = {}
        self._guard(lambda: setattr(self, "_backend", self._start(folder, public(config))))

    def on_start(self, line: ProgressLine) -> None:
        """Count it: the second work of a name has a curve of its own."""
        self._begun[line.stage, line.description] += 1

    def on_step(self, line: ProgressLine) -> None:
        """Add a point to each curve."""
        count = self._begun[line.stage, line.description]
        group = "/".join(filter(None, [line.stage, line.description]))
        for name, value in line.values.items():
            self._pass_on(f"{group} {count}/{name}" if count > 1 else f"{group}/{name}", line.done, value)

    def on_stage_end(self, stage: Stage) -> None:
        """Add its seconds."""
        self._summary[f"seconds/{stage.name}"] = stage.seconds

    def on_metrics(self, metrics: RunMetrics) -> None:
        """Remember every number of the metrics."""
        self._summary |= metrics.scalars()

    def on_run_end(self) -> None:
        """End the run with its numbers."""
        backend, self._backend = self._backend, None
        if backend is not None:
            self._guard(lambda: backend.finish(self._summary))

    def _pass_on(self, series: str, step: int, value: float) -> None:
        backend = self._backend
        if backend is not None:
            self._guard(lambda: backend.scalar(series, step, value))

    def _guard(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # whatever a tracker's client may raise
            self._backend = None
            message = f"Tracking stops here ({type(error).__name__}: {str(error)[:300]}); the run goes on."
            self._complain(message)
            warn(message)


def tracker_names() -> list[str]:
    """The names of the trackers: the modules of this package beside this one."""
    return sorted(
        module.name for module in iter_modules([str(Path(__file__).parent)]) if module.name != "tracker"
    )


def make_tracker(name: str, complain: Callable[[str], None]) -> Tracker:
    """The callback that passes numbers to a tracker.

    Args:
        name: One of `tracker_names`; its module's `start` begins a run there.
        complain: Called with a sentence if the tracker fails.

    Raises:
        ConfigurationError: There is no such tracker, or it is not installed.
    """
    if name not in tracker_names():
        raise ConfigurationError(
            f"There is no tracker {name[:200]!r}. Accepted: {', '.join(tracker_names())}."
        )
    try:
        module = import_module(f"{__package__}.{name}")
    except ImportError as error:
        raise ConfigurationError(
            f"Tracking with {name} needs a package that is not installed: pip install 'palimpsest[tracking]'."
        ) from error
    return Tracker(module.start, complain)


def public(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without what names the forgotten samples."""
    unlearning = config.get("unlearning")
    if not isinstance(unlearning, Mapping) or not unlearning.get("indices"):
        return dict(config)
    return {**config, "unlearning": {**unlearning, "indices": f"{len(unlearning['indices'])}, left out"}}
