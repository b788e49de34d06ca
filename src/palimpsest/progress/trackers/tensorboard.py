"""The TensorBoard backend, which writes event files to `tensorboard/` in the run folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter  # raises ImportError without tensorboard


class TensorBoard:
    """The event files of a run.

    Args:
        folder: The run folder.
        config: The configuration of the run, which is shown as text.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Create the event file."""
        self._writer = SummaryWriter(str(folder / "tensorboard"))
        text = json.dumps(config, indent=2, ensure_ascii=False)
        self._writer.add_text("configuration", "\n".join(f"    {line}" for line in text.splitlines()))

    def scalar(self, series: str, step: int, value: float) -> None:
        """Record a point of a series."""
        self._writer.add_scalar(series, value, step)

    def finish(self, summary: Mapping[str, float]) -> None:
        """Record the final numbers and close the file."""
        for name, value in summary.items():
            self._writer.add_scalar(name, value, 0)
        self._writer.close()


start = TensorBoard
