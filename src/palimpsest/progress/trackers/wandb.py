"""The Weights & Biases backend; `WANDB_MODE=offline` keeps its files in `wandb/` in the run folder."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import wandb


class WeightsAndBiases:
    """A run in Weights & Biases, with numbers and the configuration, but no code, console output or image.

    If a run resumes in its folder, it also resumes in Weights & Biases.

    Args:
        folder: The run folder, which gives the run its name.
        config: The configuration of the run.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Create or resume the run."""
        self._run = wandb.init(
            project="palimpsest",
            name=folder.name,
            id=sha256(str(folder.resolve()).encode()).hexdigest()[:16],
            resume="allow",
            dir=str(folder),
            config=dict(config),
            reinit="create_new",
            settings=wandb.Settings(
                console="off",
                disable_code=True,
                disable_git=True,
                save_code=False,
                silent=True,
                x_disable_meta=True,
                x_disable_stats=True,
                x_disable_machine_info=True,
            ),
        )
        self._axes: set[str] = set()

    def scalar(self, series: str, step: int, value: float) -> None:
        """Record a point of a series, with the steps of its group as the horizontal axis."""
        axis = f"{series.rpartition('/')[0]}/step"
        if series not in self._axes:
            self._axes.add(series)
            self._run.define_metric(series, step_metric=axis)
        self._run.log({series: value, axis: step})

    def finish(self, summary: Mapping[str, float]) -> None:
        """Record the final numbers and end the run."""
        self._run.summary.update(dict(summary))
        self._run.finish()


start = WeightsAndBiases
