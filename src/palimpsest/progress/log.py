"""What a run did and when, in a file that grows."""

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
    """A line for each stage, and for long work now and then, each with the time; no line names a sample.

    A disk that is full or gone stops no run: lines are then missing.

    Args:
        path: Lines are added to what it holds; it is made readable by its owner only.
        every: Seconds between two lines about the same work.

    Raises:
        RunError: The file can't be written.
    """

    def __init__(self, path: Path, *, every: float = 10) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RunError(
                f"The log {path} can't be written ({error.strerror}): name another file."
            ) from error
        self._every = every
        self._told = 0.0

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def on_run_start(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Name the run."""
        self._write("run", str(folder.resolve()))

    def on_start(self, line: ProgressLine) -> None:
        """Nothing yet: most work is short."""
        self._told = time.monotonic()

    def on_step(self, line: ProgressLine) -> None:
        """Tell it now and then."""
        if time.monotonic() - self._told >= self._every:
            self._told = time.monotonic()
            self._write(line.stage or "-", str(line))

    def on_stage_end(self, stage: Stage) -> None:
        """Tell it."""
        self._write(stage.name, str(stage))

    def on_metrics(self, metrics: RunMetrics) -> None:
        """Write the summary."""
        self._write("run", metrics.summary())

    def _write(self, where: str, what: str) -> None:
        line = f"{datetime.now().astimezone().isoformat(timespec='seconds')}  {where:<28} {what}\n"
        with suppress(OSError):
            os.write(self._file, line.encode())
