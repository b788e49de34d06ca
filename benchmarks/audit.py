"""What an auditor computes before the inverter is trained, beside the straightforward way; and where an audit's time
goes."""

import json
import tempfile
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.gradients import batch, loop, network
from benchmarks.timing import Clock, Line, lines_of
from palimpsest import audit, read_config
from palimpsest.gradients import collect, difference_chunks, fit_projection, parameter_count

BUDGET = 4 * 2**30


def lines(clock: Clock, *, quick: bool) -> list[Line]:
    """Gradients at both models of a ConvNet, and their reduction; all of a Table 1 cell but fewer auxiliary images."""
    count = 24 if quick else 800
    name = "lenet" if quick else "convnet"
    before, after = network(name), network(name)
    with torch.no_grad():
        for value in after.parameters():
            value.mul_(1.01)
    images, labels = batch(count)
    seconds = clock.race(
        {
            "ours": partial(ours, before, after, images, labels),
            "loop and torch.linalg.svd": partial(straightforward, before, after, images, labels),
        }
    )
    return lines_of(
        f"auditor before training, {name}, {count} auxiliary images",
        seconds,
        at_least={"loop and torch.linalg.svd": 6.0},
    )


def ours(before: nn.Module, after: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Differences, a projection on 95 % of their variance, and the projected differences."""
    chunks = difference_chunks(before, after, images, labels, memory_budget=BUDGET)
    vectors = collect(chunks, len(images), parameter_count(before), memory_budget=BUDGET)
    return fit_projection(vectors, generator=torch.Generator().manual_seed(0)).transform(vectors)


def straightforward(before: nn.Module, after: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """The same, word by word."""
    vectors = loop(before, images, labels) - loop(after, images, labels)
    centred = vectors - vectors.mean(0)
    _, values, basis = torch.linalg.svd(centred, full_matrices=False)
    explained = values.square().cumsum(0) / values.square().sum()
    return vectors @ basis[: int((explained < 0.95).sum()) + 1].T


def stages(*, quick: bool) -> list[tuple[str, float, float]]:
    """Seconds and peak MiB of each stage of an audit of the embedded digits."""
    small = {
        "federation": {"rounds": 4, "fraction": 0.5},
        "unlearning": {"count": 5},
        "attack": {"epochs": 1},
    }
    flags = {"data": {"auxiliary_size": 60}, **small} if quick else {}
    with tempfile.TemporaryDirectory() as folder:
        audit(read_config("digits", flags), out=Path(folder) / "run")
        told = json.loads((Path(folder) / "run" / "manifest.json").read_text())["stages"]
    return [(name, stage["seconds"], stage["peak_memory_mib"]) for name, stage in told.items()]
