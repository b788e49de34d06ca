"""Progress as JSON lines, for other programs."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from palimpsest.progress.callback import Callback
from palimpsest.progress.events import ProgressLine, Stage

_EVERY = 1.0


class JsonLines(Callback):
    """Writes events as JSON, one object on each line: `run`, `progress` (at most once a second), `stage` and `warning`.

    Args:
        file: The file to write to. Each line is flushed.
    """

    def __init__(self, file: IO[str]) -> None:
        """Write to the file."""
        self._file = file
        self._last = 0.0

    def on_run_start(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Write the run folder."""
        self.write("run", folder=str(folder))

    def on_start(self, line: ProgressLine) -> None:
        """Wait a second before the first event, because most work is short."""
        self._last = time.monotonic()

    def on_step(self, line: ProgressLine) -> None:
        """Write the progress if the last event is at least a second old."""
        if time.monotonic() - self._last < _EVERY:
            return
        self._last = time.monotonic()
        self.write(
            "progress",
            stage=line.stage,
            work=line.description,
            done=line.done,
            total=line.total,
            rate=round(line.rate, 3),
            seconds_left=line.seconds_left and round(line.seconds_left, 1),
            values=line.values,
        )

    def on_stage_end(self, stage: Stage) -> None:
        """Write the finished stage."""
        self.write(
            "stage",
            stage=stage.name,
            seconds=round(stage.seconds, 3),
            kept=stage.kept,
            peak_memory_mib=round(stage.peak_memory / 2**20),
        )

    def on_warning(self, message: str) -> None:
        """Write the warning."""
        self.write("warning", message=message)

    def write(self, event: str, **values: Any) -> None:
        """Write one event."""
        text = json.dumps({"event": event, **finite(values)}, allow_nan=False)
        print(text, file=self._file, flush=True)


def finite(value: Any) -> Any:
    """Replace NaN and infinity in a plain value by None, because JSON has neither."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [finite(item) for item in value]
    return value
