"""Whole audit of a cell of IGF's Table 1, at a tenth of its size, against a baseline audit.

The baseline audit runs a backward pass for each sample and LAPACK's SVD of all vectors; everything else, including the
inversion network, is the same. With PALIMPSEST_DATA_DIR set, the cell uses CIFAR-10, otherwise the embedded digits.
"""

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks.gradients import backward_per_sample
from benchmarks.isolated import in_place, isolated
from benchmarks.timing import Clock, Line
from palimpsest import read_config
from palimpsest.attacks import AuditorView
from palimpsest.attacks.learned.image_training import train_inverter
from palimpsest.datasets import load_data
from palimpsest.federation import Federation
from palimpsest.gradients.dispatch import GradientEngine
from palimpsest.oracles import oracle_of
from palimpsest.pipeline.audit import audit
from palimpsest.reduction import Projection

CIFAR10 = "cifar10-convnet-retrain-sample"
# beta is 0 because the perceptual distance needs VGG's weights.
TENTH = {
    "data": {"train_size": 4000, "auxiliary_size": 800},
    "unlearning": {"count": 100},
    "attack": {"beta": 0},
}
TINY = {
    "data": {"auxiliary_size": 60},
    "federation": {"rounds": 2, "fraction": 0.5},
    "unlearning": {"count": 5},
    "attack": {"epochs": 1},
}
BASELINE = "backward per sample, torch.linalg.svd"
INVERTER, TRAINING = "inverter", "inverter, its training"


@dataclass(frozen=True)
class Stage:
    """One stage of an audit.

    Args:
        name: Name of the stage in the run folder; the inverter's training is listed separately.
        ours: Its time in Palimpsest, in seconds.
        baseline: Its time in the baseline audit, in seconds.
        peak_mib: Peak memory of Palimpsest's process during the stage, in MiB.
    """

    name: str
    ours: float
    baseline: float
    peak_mib: float


@dataclass(frozen=True)
class AuditCost:
    """Cost and result of one audit.

    Args:
        seconds: Time of each stage in seconds.
        peaks: Peak memory of each stage in MiB.
        mse: Mean squared error of its reconstructions.
    """

    seconds: dict[str, float]
    peaks: dict[str, float]
    mse: float


def measure(*, quick: bool) -> tuple[list[Line], list[Stage]]:
    """Measure the audit as a whole, the auditor's work before the inverter's training, and every stage.

    Args:
        quick: Use tiny sizes, in this process.
    """
    folder = None if quick else os.environ.get("PALIMPSEST_DATA_DIR")
    preset = CIFAR10 if folder else "digits"
    keys = (TINY if quick else TENTH) if folder or quick else {}
    run = in_place if quick else isolated
    (ours, _), (other, _) = (
        run(run_audit, preset, keys, folder, baseline=baseline) for baseline in (False, True)
    )
    task = f"audit {preset}" + (", 1/10 of its size" if folder else "")
    lines = [
        _line(f"{task}, whole", sum(ours.seconds.values()), sum(other.seconds.values())),
        _line(f"{task}, auditor before training", ours.seconds[INVERTER], other.seconds[INVERTER]),
        Line(f"{task}, reconstruction error", "MSE", ours.mse, BASELINE, other.mse),
    ]
    stages = [
        Stage(name, seconds, other.seconds[name], ours.peaks[name]) for name, seconds in ours.seconds.items()
    ]
    return lines, stages


def whole_cell(clock: Clock, *, quick: bool) -> list[Line]:
    """Measure the auditor's work before the inverter's training in a full cell: queries, reduction, features.

    The two models have untrained weights, because training does not change the time of either side.

    Args:
        clock: Clock to measure with.
        quick: Use tiny sizes.
    """
    folder = None if quick else os.environ.get("PALIMPSEST_DATA_DIR")
    preset = CIFAR10 if folder else "digits"
    config = read_config(preset, {"attack": {"beta": 0}} | (TINY if quick else {}))
    data = load_data(
        config.data,
        clients=config.federation.clients,
        seed=config.seed,
        data_dir=Path(folder) if folder else None,
    )
    networks = [Federation(data, config.model, config.federation, seed, "cpu").network() for seed in (1, 2)]
    oracle = oracle_of(*networks, memory_budget=config.memory_budget)
    attack = config.attack.build()

    def learn(*, baseline: bool) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(patch("palimpsest.attacks.learned.base.train_inverter", lambda *_, **__: {}))
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            if baseline:
                stack.enter_context(_baseline_gradients_and_reduction())
            proofs = torch.empty(0, oracle.dimension)
            view = AuditorView(proofs, oracle, data.auxiliary, "cpu", config.memory_budget, scratch)
            attack.learn(view, generator=torch.Generator().manual_seed(0))

    seconds = clock.once({"ours": lambda: learn(baseline=False), BASELINE: lambda: learn(baseline=True)})
    task = f"audit {preset}, auditor before training"
    return [_line(task, seconds["ours"], seconds[BASELINE], 6.0)]


def run_audit(preset: str, keys: dict[str, Any], data_dir: str | None, *, baseline: bool) -> AuditCost:
    """Run an audit and measure its stages.

    Args:
        preset: Name of the preset.
        keys: Configuration keys that differ from the preset.
        data_dir: A folder that mirrors the data sets; None means the default folder.
        baseline: Run the baseline audit instead of Palimpsest's.
    """
    training = 0.0

    def timed(*arguments: Any, **named: Any) -> dict[str, list[float]]:
        nonlocal training
        start = time.perf_counter()
        history = train_inverter(*arguments, **named)
        training += time.perf_counter() - start
        return history

    with contextlib.ExitStack() as stack:
        stack.enter_context(patch("palimpsest.attacks.learned.base.train_inverter", timed))
        if baseline:
            stack.enter_context(_baseline_gradients_and_reduction())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run"
        result = audit(read_config(preset, keys), out=folder, data_dir=Path(data_dir) if data_dir else None)
        stages = json.loads((folder / "manifest.json").read_text())["stages"]
    seconds, peaks = {}, {}
    for name, stage in stages.items():
        seconds[name], peaks[name] = stage["seconds"], stage["peak_memory_mib"]
        if name == INVERTER:
            seconds[name] -= training
            seconds[TRAINING], peaks[TRAINING] = training, peaks[name]
    return AuditCost(seconds, peaks, result.metrics.reconstruction.mse)


@contextlib.contextmanager
def _baseline_gradients_and_reduction() -> Iterator[None]:
    """Replace gradients and reduction with the baseline's."""
    with (
        patch("palimpsest.gradients.per_sample.select_engine", BaselineEngine),
        patch("palimpsest.attacks.learned.extractors.fit_projection", baseline_projection),
    ):
        yield


class BaselineEngine(GradientEngine):
    """Gradient engine that runs the baseline's backward pass for each sample."""

    def __init__(self, model: nn.Module, images: Tensor, count: int) -> None:
        """Start for any number of images of any shape."""
        del images, count
        super().__init__(model, "backward per sample")

    def write(self, images: Tensor, labels: Tensor, out: Tensor) -> None:
        """Write the gradients of the cross-entropy into the rows of a matrix."""
        out.copy_(backward_per_sample(self._model, images, labels))


def baseline_projection(
    vectors: Tensor,
    *,
    explained_variance: float = 0.95,
    components: int | None = None,
    directions: bool = False,
    **_: object,
) -> Projection:
    """Replace `fit_projection` with an SVD by LAPACK; the memory budget and the generator are ignored."""
    if directions:
        vectors = vectors / vectors.norm(dim=1, keepdim=True)
    mean = vectors.mean(0)
    _, values, basis = torch.linalg.svd(vectors - mean, full_matrices=False)
    explained = values.square().cumsum(0) / values.square().sum()
    k = int((explained < explained_variance).sum()) + 1
    k = min(k, components or k)
    return Projection(mean, basis[:k].T.contiguous(), values[:k], explained[:k])


def _line(task: str, ours: float, other: float, target: float | None = None) -> Line:
    return Line(task, "seconds", ours, BASELINE, other, target)
