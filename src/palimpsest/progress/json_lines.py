"""Progress for machines: a JSON object a line."""

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
    """Events as JSON, one a line: `run`, `progress` (once a second at most), `stage`.

    Args:
        file: Where they go; each line is flushed.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._told = 0.0

    def on_run_start(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Name the run."""
        self.write("run", folder=str(folder))

    def on_start(self, line: ProgressLine) -> None:
        """Nothing yet: most work is short."""
        self._told = time.monotonic()

    def on_step(self, line: ProgressLine) -> None:
        """Tell it, once a second."""
        if time.monotonic() - self._told < _EVERY:
            return
        self._told = time.monotonic()
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
        """Tell it."""
        self.write(
            "stage",
            stage=stage.name,
            seconds=round(stage.seconds, 3),
            kept=stage.kept,
            peak_memory_mib=round(stage.peak_memory / 2**20),
        )

    def write(self, event: str, **values: Any) -> None:
        """Write one event."""
        text = json.dumps({"event": event, **finite(values)}, allow_nan=False)
        print(text, file=self._file, flush=True)


def finite(value: Any) -> Any:
    """The same plain value with null in the place of numbers that are none, which JSON does not know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [finite(item) for item in value]
    return value
