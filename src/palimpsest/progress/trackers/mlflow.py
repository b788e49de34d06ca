"""The MLflow backend; the environment variable `MLFLOW_TRACKING_URI` selects the server or folder."""

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

_EXPERIMENT = "palimpsest"
_BATCH = 200
_SECONDS = 10
_LONGEST_PARAM = 500


class MLflow:
    """A run in MLflow. Points are sent in batches, because each request takes milliseconds.

    Args:
        folder: The run folder, which gives the run its name.
        config: The configuration of the run. Its keys are joined by dots.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Create the run."""
        self._client = MlflowClient()
        found = self._client.get_experiment_by_name(_EXPERIMENT)
        experiment = found.experiment_id if found else self._client.create_experiment(_EXPERIMENT)
        self._run = self._client.create_run(experiment, run_name=folder.name).info.run_id
        params = [Param(key, value[:_LONGEST_PARAM]) for key, value in _flat(config) if value]
        self._client.log_batch(self._run, params=params[:100])
        self._points: list[Metric] = []
        self._sent = time.monotonic()

    def scalar(self, series: str, step: int, value: float) -> None:
        """Record a point of a series."""
        self._points.append(Metric(_name(series), value, int(time.time() * 1000), step))
        if len(self._points) >= _BATCH or time.monotonic() - self._sent >= _SECONDS:
            self._send()

    def finish(self, summary: Mapping[str, float]) -> None:
        """Record the final numbers and the status, and end the run."""
        for name, value in summary.items():
            self.scalar(name, 0, value)
        self._send()
        done = any(not name.startswith("seconds/") for name in summary)
        self._client.set_terminated(self._run, "FINISHED" if done else "KILLED")

    def _send(self) -> None:
        points, self._points = self._points, []
        for start in range(0, len(points), _BATCH):
            self._client.log_batch(self._run, metrics=points[start : start + _BATCH])
        self._sent = time.monotonic()


def _name(series: str) -> str:
    """Replace characters that MLflow does not accept in names."""
    return re.sub(r"[^\w\-. /]", "-", series)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


start = MLflow
