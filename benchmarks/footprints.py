"""What is held in memory at once, beside the budget: a ConvNet's audit with all auxiliary images of a Table 1 cell, and
a ResNet-18 whose vectors are too long to be kept."""

import os
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.cell import CIFAR10, TINY, audited
from benchmarks.federation import load
from benchmarks.gradients import batch, network
from benchmarks.isolated import in_place, isolated
from benchmarks.timing import Line
from palimpsest.gradients import collect, parameter_count
from palimpsest.oracles import ModelOracle
from palimpsest.reduction import CountSketch, fit_projection
from palimpsest.system.memory import parse_bytes

# Its gradients and their reduction are of the cell's size; the federation and the training, which hold less, are short.
WHOLE = {
    "federation": {"rounds": 2},
    # Two rounds have places for few clients, who shall have learned what is forgotten.
    "unlearning": {"clients": [0, 1, 2, 3]},
    "attack": {"beta": 0, "queries": 1, "epochs": 1},
}
BINS = 2**18


@dataclass(frozen=True)
class Reduced:
    """A projection of sketched differences: its directions, and how far sketching moves inner products."""

    components: int
    error: float


def lines(*, quick: bool) -> list[Line]:
    """Peaks beside budgets, and the error of the sketched projection."""
    folder = None if quick else os.environ.get("PALIMPSEST_DATA_DIR")
    preset, keys = (CIFAR10, WHOLE) if folder else ("digits", TINY if quick else {})
    budget = "1GiB" if quick else "4GiB"
    run = in_place if quick else isolated
    told, _ = run(audited, preset, {**keys, "memory_budget": budget}, folder, plainly=False)
    peak = max(told.peaks.values())
    name, count, bins = ("lenet", 40, 2000) if quick else ("resnet18", 2000, BINS)
    reduced, most = run(sketched_projection, name, count, bins)
    dimension = parameter_count(network(name))
    sketched = f"{name} ({dimension:,} parameters), {count:,} auxiliary images"
    mib = parse_bytes(budget) / 2**20
    return [
        Line(f"peak memory, audit {preset}", "MiB", peak, f"budget of {budget}", mib, 1 / 1.1),
        Line(f"peak memory, {sketched}", "MiB", most, "8 GiB", 8192.0, 1.0),
        Line(
            f"projection in {bins:,} bins, {sketched}", "relative error", reduced.error, "allowed", 0.05, 1.0
        ),
    ]


def sketched_projection(name: str, count: int, bins: int) -> Reduced:
    """Differences of two models, sketched as they come, and a projection on 95 % of their variance."""
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
    """Photographs where the data are, else noise."""
    if not os.environ.get("PALIMPSEST_DATA_DIR"):
        return batch(count)
    photographs = load().train
    return photographs.images[:count], photographs.labels[:count]


def expected_distortion(sketched: Tensor) -> float:
    """How far the sketch moves the inner products of all these centered vectors, relative to all of them.

    Each product's variance is (|x|^2 |y|^2 + <x, y>^2) / size at most; added up over all pairs, the square of the Gram
    matrix's trace over that of its Frobenius norm remains, and one.
    """
    centered = sketched - sketched.mean(0)
    gram = (centered @ centered.T).double()
    return float(((gram.trace() / gram.norm()).square() + 1).div(sketched.shape[1]).sqrt())
