"""Weights & Biases; `WANDB_MODE=offline` keeps its files in the run folder, under `wandb/`."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import wandb


class WeightsAndBiases:
    """One run; it sends numbers and the configuration, no code, no console output and no image.

    A run that goes on in its folder goes on there too.

    Args:
        folder: The run folder, after which the run is named.
        config: The run's configuration.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
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
        """A point of a curve, over its group's own steps."""
        axis = f"{series.rpartition('/')[0]}/step"
        if series not in self._axes:
            self._axes.add(series)
            self._run.define_metric(series, step_metric=axis)
        self._run.log({series: value, axis: step})

    def finish(self, summary: Mapping[str, float]) -> None:
        """The final numbers."""
        self._run.summary.update(dict(summary))
        self._run.finish()


start = WeightsAndBiases
