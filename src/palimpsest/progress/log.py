"""The log file of a run."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from palimpsest.errors import RunError
from palimpsest.progress.callback import Callback, RunMetrics
from palimpsest.progress.events import ProgressLine, Stage


class LogFile(Callback):
    """Appends timestamped lines about stages and long work to a file; no line names a sample.

    A full or missing disk does not stop the run, but lines are then lost.

    Args:
        path: The log file. Only its owner can read it.
        every: Minimum time between two lines about progress, in seconds.

    Raises:
        RunError: The file can't be written.
    """

    def __init__(self, path: Path, *, every: float = 10) -> None:
        """Open the file."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RunError(
                f"The log {path} can't be written ({error.strerror}). Choose another file."
            ) from error
        self._every = every
        self._last = 0.0

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        os.close(self._file)

    def on_run_start(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Write the run folder."""
        self._write("run", str(folder.resolve()))

    def on_start(self, line: ProgressLine) -> None:
        """Wait before the first line, because most work is short."""
        self._last = time.monotonic()

    def on_step(self, line: ProgressLine) -> None:
        """Write the progress if the last line is old enough."""
        if time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            self._write(line.stage or "-", str(line))

    def on_stage_end(self, stage: Stage) -> None:
        """Write the finished stage."""
        self._write(stage.name, str(stage))

    def on_metrics(self, metrics: RunMetrics) -> None:
        """Write the summary."""
        self._write("run", metrics.summary())

    def _write(self, source: str, text: str) -> None:
        line = f"{datetime.now().astimezone().isoformat(timespec='seconds')}  {source:<28} {text}\n"
        with suppress(OSError):
            os.write(self._file, line.encode())
