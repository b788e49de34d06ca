"""TensorBoard: event files in the run folder, under `tensorboard/`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter  # an ImportError where tensorboard is not installed


class TensorBoard:
    """One run's event files.

    Args:
        folder: The run folder.
        config: The run's configuration; it is shown as text.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._writer = SummaryWriter(str(folder / "tensorboard"))
        text = json.dumps(config, indent=2, ensure_ascii=False)
        self._writer.add_text("configuration", "\n".join(f"    {line}" for line in text.splitlines()))

    def scalar(self, series: str, step: int, value: float) -> None:
        """A point of a curve."""
        self._writer.add_scalar(series, value, step)

    def finish(self, summary: Mapping[str, float]) -> None:
        """The final numbers, and the end of the file."""
        for name, value in summary.items():
            self._writer.add_scalar(name, value, 0)
        self._writer.close()


start = TensorBoard
