"""Growth of each computation's time with its sizes: the exponent of the best-fitting power law."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.federation import in_process, noise
from benchmarks.gradients import batch, network, ours
from benchmarks.reduction import spectrum
from benchmarks.timing import Clock
from palimpsest.config import FederationConfig, ModelConfig
from palimpsest.models import build_model
from palimpsest.reduction import fit_projection
from palimpsest.report.figures import STYLE
from palimpsest.report.svg import COLORS


@dataclass(frozen=True)
class Growth:
    """Time of one computation at several sizes.

    Args:
        task: Name of the computation.
        size: Name of the size that grows.
        sizes: Measured sizes.
        seconds: Median time at each size, in seconds.
    """

    task: str
    size: str
    sizes: list[int]
    seconds: list[float]

    @property
    def exponent(self) -> float:
        """Slope of the logarithm of the time over the logarithm of the size."""
        return self._line()[0]

    @property
    def fitted(self) -> list[float]:
        """Time by the best-fitting power law at each size, in seconds."""
        slope, start = self._line()
        return [float(np.exp(start + slope * np.log(size))) for size in self.sizes]

    def _line(self) -> tuple[float, float]:
        slope, start = np.polyfit(np.log(self.sizes), np.log(self.seconds), 1)
        return float(slope), float(start)


def draw(growths: Sequence[Growth], path: Path) -> None:
    """Draw the measured times and the fitted power law of each computation on logarithmic axes.

    Args:
        growths: The computations.
        path: The file to write.
    """
    columns = min(4, len(growths))
    rows = -(-len(growths) // columns)
    with matplotlib.rc_context({**STYLE, "svg.fonttype": "none", "svg.hashsalt": "growth"}):
        figure = Figure(figsize=(3.1 * columns, 2.6 * rows), layout="constrained")
        cells = figure.subplots(rows, columns, squeeze=False).flat
        for axes, growth in zip(cells, growths, strict=False):
            axes.loglog(growth.sizes, growth.seconds, "o", color=COLORS["rubric"], markersize=4)
            axes.loglog(growth.sizes, growth.fitted, color=COLORS["ink"], linewidth=0.9)
            axes.set_title(f"{growth.task}\nexponent {growth.exponent:.2f}", fontsize=8)
            axes.set_xlabel(growth.size)
            axes.set_ylabel("seconds")
            axes.set_xticks(growth.sizes, [f"{size:,}" for size in growth.sizes])
            axes.xaxis.set_minor_locator(NullLocator())
        for axes in list(cells):
            axes.set_axis_off()
        figure.savefig(path, metadata={"Date": None})


def growths(clock: Clock, *, quick: bool) -> list[Growth]:
    """Measure all computations.

    Args:
        clock: Clock to measure with.
        quick: Use tiny sizes.
    """
    divisor = 8 if quick else 1

    def measure(
        task: str, size: str, sizes: list[int], work: Callable[[int], Callable[[], object]]
    ) -> Growth:
        measured = [max(1, value // divisor) for value in sizes]
        return Growth(task, size, measured, [clock.race({"": work(value)})[""] for value in measured])

    return [
        measure("gradients, lenet", "samples m", [128, 256, 512, 1024], _gradients),
        measure("gradients, lenet", "side length in pixels", [16, 32, 64], _pixels),
        measure("gradients, 64 samples of a ConvNet", "parameters d", [8, 16, 32], _width),
        measure("reduction to 95 % of 16,384 coordinates", "samples m", [256, 512, 1024], _samples),
        measure("reduction to 95 % of 512 samples", "parameters d", [8192, 16_384, 32_768], _dimension),
        measure("reduction of 1,024 x 8,192", "directions k", [16, 32, 64], _directions),
        measure("federation, one round of LeNets", "clients", [8, 16, 32], _clients),
    ]


def _gradients(count: int) -> Callable[[], object]:
    return partial(ours, network("lenet"), *batch(count))


def _pixels(size: int) -> Callable[[], object]:
    model = build_model(ModelConfig(name="lenet"), shape=(3, size, size), classes=10, seed=0).eval()
    return partial(ours, model, *batch(64, size))


def _width(width: int) -> Callable[[], object]:
    config = ModelConfig.model_validate({"name": "convnet", "width": 2 * width})
    return partial(ours, build_model(config, shape=(3, 32, 32), classes=10, seed=0).eval(), *batch(64))


def _samples(count: int) -> Callable[[], object]:
    return partial(_fit, spectrum(max(2, count), 16_384, power=0.5))


def _dimension(dimension: int) -> Callable[[], object]:
    return partial(_fit, spectrum(512, dimension, power=0.5))


def _directions(k: int) -> Callable[[], object]:
    return partial(_fit, spectrum(1024, 8192, power=0.5), k)


def _fit(vectors: torch.Tensor, components: int | None = None) -> None:
    fit_projection(vectors, components=components, generator=torch.Generator().manual_seed(0))


def _clients(clients: int) -> Callable[[], object]:
    federation = FederationConfig(rounds=1, clients=clients, fraction=1.0)
    return partial(in_process, noise(100 * clients, clients=clients), ModelConfig(name="lenet"), federation)
