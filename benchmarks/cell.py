"""A cell of IGF's Table 1 with a tenth of its images and forgotten samples: the whole audit, ours beside a
straightforward one.

The straightforward audit has a backward pass for each sample and LAPACK's decomposition of all vectors, and is the
same else, its inversion network too. With PALIMPSEST_DATA_DIR set the cell is of CIFAR-10, else the embedded digits are
audited.
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

from benchmarks.gradients import loop
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
# The perceptual distance would need VGG's weights.
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
RIVAL = "loop gradients, torch.linalg.svd"
INVERTER, TRAINING = "inverter", "inverter, its training"


@dataclass(frozen=True)
class Stage:
    """One stage of an audit.

    Args:
        name: As the run folder calls it; the inverter's training stands apart.
        ours: Its seconds.
        theirs: Those of the straightforward audit.
        peak_mib: The most that our process held meanwhile.
    """

    name: str
    ours: float
    theirs: float
    peak_mib: float


@dataclass(frozen=True)
class Told:
    """What one audit told of itself: seconds and peak MiB by stage, and the error of its reconstructions."""

    seconds: dict[str, float]
    peaks: dict[str, float]
    mse: float


def measure(*, quick: bool) -> tuple[list[Line], list[Stage]]:
    """The audit as a whole, what comes before the inverter's training, and every stage."""
    folder = None if quick else os.environ.get("PALIMPSEST_DATA_DIR")
    preset = CIFAR10 if folder else "digits"
    keys = (TINY if quick else TENTH) if folder or quick else {}
    run = in_place if quick else isolated
    (ours, _), (theirs, _) = (
        run(audited, preset, keys, folder, plainly=plainly) for plainly in (False, True)
    )
    task = f"audit {preset}" + (", a tenth of it" if folder else "")
    lines = [
        _line(f"{task}, whole", sum(ours.seconds.values()), sum(theirs.seconds.values())),
        _line(f"{task}, auditor before training", ours.seconds[INVERTER], theirs.seconds[INVERTER]),
        Line(f"{task}, its reconstructions", "MSE", ours.mse, RIVAL, theirs.mse),
    ]
    stages = [
        Stage(name, seconds, theirs.seconds[name], ours.peaks[name]) for name, seconds in ours.seconds.items()
    ]
    return lines, stages


def whole_cell(clock: Clock, *, quick: bool) -> list[Line]:
    """What the auditor does before an inverter's training, in the whole cell: queries, reduction, features.

    The two models have fresh weights: neither side takes longer for trained ones.
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

    def learn(*, plainly: bool) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(patch("palimpsest.attacks.learned.base.train_inverter", lambda *_, **__: {}))
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            if plainly:
                stack.enter_context(_plain_gradients_and_reduction())
            proofs = torch.empty(0, oracle.dimension)
            view = AuditorView(proofs, oracle, data.auxiliary, "cpu", config.memory_budget, scratch)
            attack.learn(view, generator=torch.Generator().manual_seed(0))

    seconds = clock.once({"ours": lambda: learn(plainly=False), RIVAL: lambda: learn(plainly=True)})
    task = f"audit {preset}, auditor before training"
    return [_line(task, seconds["ours"], seconds[RIVAL], 6.0)]


def audited(preset: str, keys: dict[str, Any], data_dir: str | None, *, plainly: bool) -> Told:
    """Run an audit, ours or the straightforward one."""
    training = 0.0

    def timed(*arguments: Any, **named: Any) -> dict[str, list[float]]:
        nonlocal training
        start = time.perf_counter()
        curves = train_inverter(*arguments, **named)
        training += time.perf_counter() - start
        return curves

    with contextlib.ExitStack() as stack:
        stack.enter_context(patch("palimpsest.attacks.learned.base.train_inverter", timed))
        if plainly:
            stack.enter_context(_plain_gradients_and_reduction())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "run"
        found = audit(read_config(preset, keys), out=folder, data_dir=Path(data_dir) if data_dir else None)
        told = json.loads((folder / "manifest.json").read_text())["stages"]
    seconds, peaks = {}, {}
    for name, stage in told.items():
        seconds[name], peaks[name] = stage["seconds"], stage["peak_memory_mib"]
        if name == INVERTER:
            seconds[name] -= training
            seconds[TRAINING], peaks[TRAINING] = training, peaks[name]
    return Told(seconds, peaks, found.metrics.reconstruction.mse)


@contextlib.contextmanager
def _plain_gradients_and_reduction() -> Iterator[None]:
    """Compute both the straightforward way."""
    with (
        patch("palimpsest.gradients.per_sample.select_engine", plain_engine),
        patch("palimpsest.attacks.learned.extractors.fit_projection", plain_projection),
    ):
        yield


def plain_engine(model: nn.Module, images: Tensor) -> GradientEngine:
    """A backward pass for each sample."""

    def write(images: Tensor, labels: Tensor, out: Tensor) -> None:
        out.copy_(loop(model, images, labels))

    return write


def plain_projection(
    vectors: Tensor,
    *,
    explained_variance: float = 0.95,
    components: int | None = None,
    directions: bool = False,
    **_: object,
) -> Projection:
    """`fit_projection`, word by word; it heeds no budget, and draws nothing."""
    if directions:
        vectors = vectors / vectors.norm(dim=1, keepdim=True)
    mean = vectors.mean(0)
    _, values, basis = torch.linalg.svd(vectors - mean, full_matrices=False)
    explained = values.square().cumsum(0) / values.square().sum()
    k = int((explained < explained_variance).sum()) + 1
    k = min(k, components or k)
    return Projection(mean, basis[:k].T.contiguous(), values[:k], explained[:k])


def _line(task: str, ours: float, theirs: float, at_least: float | None = None) -> Line:
    return Line(task, "seconds", ours, RIVAL, theirs, at_least)
