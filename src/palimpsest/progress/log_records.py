"""Progress as records of the logger `palimpsest`, for programs that embed this package."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from palimpsest.progress.callback import Callback
from palimpsest.progress.events import ProgressLine, Stage

LOGGER = logging.getLogger("palimpsest")
# Without this handler, Python would print warnings to standard error in programs that configure no logging.
LOGGER.addHandler(logging.NullHandler())


class LogRecords(Callback):
    """Logs stages at INFO, progress at DEBUG and warnings at WARNING; no record names a sample.

    Args:
        every: Minimum time between two records about progress, in seconds.
    """

    def __init__(self, *, every: float = 1) -> None:
        """Set the minimum time between records."""
        self._every = every
        self._last = 0.0

    def on_run_start(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Log the run folder."""
        LOGGER.info("run in %s", folder)

    def on_start(self, line: ProgressLine) -> None:
        """Wait before the first record, because most work is short."""
        self._last = time.monotonic()

    def on_step(self, line: ProgressLine) -> None:
        """Log the progress if the last record is old enough."""
        if LOGGER.isEnabledFor(logging.DEBUG) and time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            LOGGER.debug("%s: %s", line.stage or "-", str(line))

    def on_stage_end(self, stage: Stage) -> None:
        """Log the finished stage."""
        LOGGER.info("%s: %s", stage.name, stage)

    def on_warning(self, message: str) -> None:
        """Log the warning."""
        LOGGER.warning(message)
