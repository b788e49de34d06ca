"""Peak memory against the budget: a ConvNet's audit, and a ResNet-18 with sketched gradients.

The audit has all auxiliary images of a cell of IGF's Table 1. The vectors of the ResNet-18 are too long to be stored.
"""

import os
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.cell import CIFAR10, TINY, run_audit
from benchmarks.federation import load
from benchmarks.gradients import batch, network
from benchmarks.isolated import in_place, isolated
from benchmarks.timing import Line
from palimpsest.gradients import collect, parameter_count
from palimpsest.oracles import ModelOracle
from palimpsest.reduction import CountSketch, fit_projection
from palimpsest.system.memory import parse_bytes

# Gradients and their reduction have the cell's size. The federation and the training need less memory and are short.
WHOLE = {
    "federation": {"rounds": 2},
    # Only few clients take part in two rounds, and the forgotten samples must belong to these.
    "unlearning": {"clients": [0, 1, 2, 3]},
    "attack": {"beta": 0, "queries": 1, "epochs": 1},
}
BINS = 2**18


@dataclass(frozen=True)
class Reduced:
    """Projection of sketched differences.

    Args:
        components: Number of its directions.
        error: Expected relative error of inner products by sketching.
    """

    components: int
    error: float


def lines(*, quick: bool) -> list[Line]:
    """Measure peak memory against budgets, and the error of the sketched projection.

    Args:
        quick: Use tiny sizes, in this process.
    """
    folder = None if quick else os.environ.get("PALIMPSEST_DATA_DIR")
    preset, keys = (CIFAR10, WHOLE) if folder else ("digits", TINY if quick else {})
    budget = "1GiB" if quick else "4GiB"
    run = in_place if quick else isolated
    cost, _ = run(run_audit, preset, {**keys, "memory_budget": budget}, folder, baseline=False)
    peak = max(cost.peaks.values())
    name, count, bins = ("lenet", 40, 2000) if quick else ("resnet18", 2000, BINS)
    reduced, sketched_peak = run(sketched_projection, name, count, bins)
    dimension = parameter_count(network(name))
    sketched = f"{name} ({dimension:,} parameters), {count:,} auxiliary images"
    mib = parse_bytes(budget) / 2**20
    return [
        Line(f"peak memory, audit {preset}", "MiB", peak, f"budget of {budget}", mib, 1 / 1.1),
        Line(f"peak memory, {sketched}", "MiB", sketched_peak, "8 GiB", 8192.0, 1.0),
        Line(f"projection in {bins:,} bins, {sketched}", "relative error", reduced.error, "limit", 0.05, 1.0),
    ]


def sketched_projection(name: str, count: int, bins: int) -> Reduced:
    """Sketch the gradient differences of two models, and fit a projection on 95 % of their variance.

    Args:
        name: Name of the model.
        count: Number of images.
        bins: Size of the sketch.
    """
    before, after = network(name), network(name)
    with torch.no_grad():
        for before_value, value in zip(before.parameters(), after.parameters(), strict=True):
            noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(1))
            value.copy_(before_value + 0.05 * before_value.std(correction=0) * noise)
    generator = torch.Generator().manual_seed(0)
    sketch = CountSketch.draw(parameter_count(before), bins, generator=generator)
    oracle = ModelOracle(before, after, memory_budget=2**31)
    answers = oracle.read(*_images(count), sketch, min_rows=1)
    short = collect(answers, count, sketch.size, memory_budget=2**32)
    projection = fit_projection(short, generator=generator)
    return Reduced(projection.components, expected_distortion(short))


def _images(count: int) -> tuple[Tensor, Tensor]:
    """Return CIFAR-10 images if PALIMPSEST_DATA_DIR is set, otherwise noise."""
    if not os.environ.get("PALIMPSEST_DATA_DIR"):
        return batch(count)
    train = load().train
    return train.images[:count], train.labels[:count]


def expected_distortion(sketched: Tensor) -> float:
    """Estimate the relative error that the sketch adds to the inner products of all pairs of centered vectors.

    The variance of each product is at most (|x|^2 |y|^2 + <x, y>^2) / size. Summed over all pairs and divided by the
    squared Frobenius norm of the Gram matrix G, this is (trace(G)^2 / |G|^2 + 1) / size.

    Args:
        sketched: Sketched vectors, `[n, size]`.
    """
    centered = sketched - sketched.mean(0)
    gram = (centered @ centered.T).double()
    return float(((gram.trace() / gram.norm()).square() + 1).div(sketched.shape[1]).sqrt())
