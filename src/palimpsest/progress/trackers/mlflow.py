"""MLflow; `MLFLOW_TRACKING_URI` says where it writes, and its own default holds where it is not set."""

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

_EXPERIMENT = "palimpsest"
_TOGETHER = 200
_SECONDS = 10
_LONGEST_PARAM = 500


class MLflow:
    """One run; points are sent in batches, for each request takes milliseconds.

    Args:
        folder: The run folder, after which the run is named.
        config: The run's configuration, its keys joined by dots.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._client = MlflowClient()
        found = self._client.get_experiment_by_name(_EXPERIMENT)
        experiment = found.experiment_id if found else self._client.create_experiment(_EXPERIMENT)
        self._run = self._client.create_run(experiment, run_name=folder.name).info.run_id
        params = [Param(key, value[:_LONGEST_PARAM]) for key, value in _flat(config) if value]
        self._client.log_batch(self._run, params=params[:100])
        self._points: list[Metric] = []
        self._sent = time.monotonic()

    def scalar(self, series: str, step: int, value: float) -> None:
        """A point of a curve."""
        self._points.append(Metric(_name(series), value, int(time.time() * 1000), step))
        if len(self._points) >= _TOGETHER or time.monotonic() - self._sent >= _SECONDS:
            self._send()

    def finish(self, summary: Mapping[str, float]) -> None:
        """The final numbers, and whether the run came to any."""
        for name, value in summary.items():
            self.scalar(name, 0, value)
        self._send()
        done = any(not name.startswith("seconds/") for name in summary)
        self._client.set_terminated(self._run, "FINISHED" if done else "KILLED")

    def _send(self) -> None:
        points, self._points = self._points, []
        for start in range(0, len(points), _TOGETHER):
            self._client.log_batch(self._run, metrics=points[start : start + _TOGETHER])
        self._sent = time.monotonic()


def _name(series: str) -> str:
    """What MLflow takes as a name."""
    return re.sub(r"[^\w\-. /]", "-", series)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


start = MLflow
