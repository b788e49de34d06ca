"""Benchmark of projections that need no vectors, beside projections of vectors and ordinary backward passes."""

import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from benchmarks.document import markdown
from benchmarks.timing import Clock, print_table
from benchmarks.zoo import CLASSES, WORDS, Recurrent
from palimpsest.gradients import gradient_differences, parameter_count, trainable_parameters
from palimpsest.gradients.additive import read_differences
from palimpsest.gradients.dispatch import write_with_vmap
from palimpsest.models.convnet import ConvNet
from palimpsest.reduction import CountSketch, FactoredProjection, VectorSketch
from palimpsest.reduction.count_sketch import distortion
from palimpsest.system.memory import DEFAULT_BUDGET, give_back_freed_memory
from palimpsest.system.peak_memory import start_peak
from palimpsest.system.torchvision_compat import import_torchvision

SAMPLES, SIZES, DRAWS = 32, (1024, 4096), 5
FACTORED, MATERIALIZED, ORDINARY, VMAP = "factored", "of vectors", "ordinary", "vmap"
AIM = 0.6
# A dense matrix of more entries takes minutes to draw.
_MAX_DENSE = 2**29
# Noise by which the two models differ, relative to the deviation of each parameter.
_MOVED = 0.05
SPEED_HEADER = ("network", "parameters", "numbers", FACTORED, MATERIALIZED, ORDINARY, VMAP, "ratio")
MEMORY_HEADER = ("network", FACTORED, MATERIALIZED, ORDINARY, VMAP)
ERROR_HEADER = ("network", "numbers", FACTORED, "count sketch", "dense Gaussian")
PAGE = """# Projections without vectors

    python -m benchmarks --only projections --threads 1 --clock cpu --repeats {repeats} --out docs

measures the [factored sketch](../how-to/own-checkpoints.md#large-networks) on the gradient differences of {samples}
samples between a network with random weights and a copy whose parameters were moved by a twentieth of their deviation.
Such a sketch projects each layer's inputs and output gradients during the backward pass. Neither the gradient of a
weight nor the whole vector is computed.

{machine}.

## Speed

Gradient differences per second, with the choice of an engine, at {largest:,} numbers in a sketch: factored; the same
projection of vectors from `gradient_differences`; two ordinary backward passes over the batch, which sum the gradients
and project nothing; and `torch.func.vmap` with the projection of its vectors. "Ratio" divides the first rate by that of
ordinary passes; the aim is at least {aim} for ResNet-18. Choosing an engine takes passes of two samples at both models,
which weigh less for more samples.

{speed}

## Memory

Peak memory beyond that before the call, in MiB. The gradients that ordinary passes leave in the parameters exist
before the call and are not counted.

{memory}

## Error of inner products

Norm of the error of all inner products of centered differences, divided by the norm of the inner products: the mean of
{draws} draws. A dense matrix of ResNet-18 or the transformer would have billions of entries and is left out.

{error}

A factored sketch pays for its speed with a larger error than the two others of the same size. The gradient of a weight
has a low rank if its layer has few positions. For rank one, the variance of an inner product falls with the number of
columns of the two matrices, and these are only about the square root of the layer's numbers each.
"""
Method = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """Measurement of one network.

    Args:
        network: Its name.
        parameters: Number of its parameters.
        components: Number of numbers in the sketch whose speed is measured.
        rates: Gradient differences per second, by the method that computes them.
        peaks: Peak memory in MiB, by the same methods.
        errors: Relative error of inner products, by the sketch's size and kind.
    """

    network: str
    parameters: int
    components: int
    rates: dict[str, float]
    peaks: dict[str, float]
    errors: dict[int, dict[str, float]]

    @property
    def ratio(self) -> float:
        """The rate of the factored sketch relative to that of ordinary passes."""
        return self.rates[FACTORED] / self.rates[ORDINARY]


@dataclass(frozen=True)
class Case:
    """A network and its samples.

    Args:
        name: Name of the network.
        network: The network, in eval mode.
        samples: Images or tokens, `[n, ...]`.
    """

    name: str
    network: nn.Module
    samples: Tensor


def run(clock: Clock, *, quick: bool, folder: Path | None, machine: str) -> None:
    """Measure all networks, print the tables, and write the page `reference/projections.md`.

    Args:
        clock: Clock to measure with.
        quick: Measure only the recurrent network, with few samples.
        folder: Folder of the documentation; None writes nothing.
        machine: The machine and the clock, in words.
    """
    measured = [measure(case, clock, sizes=SIZES[:1] if quick else SIZES) for case in cases(quick=quick)]
    if folder is not None:
        write(folder / "reference", measured, repeats=clock.repeats, machine=machine)
    print_table("Gradient differences per second", SPEED_HEADER, speed_rows(measured))
    print_table("Peak memory (MiB)", MEMORY_HEADER, memory_rows(measured))
    print_table("Relative error of inner products", ERROR_HEADER, error_rows(measured))


def cases(*, quick: bool) -> list[Case]:
    """Build the networks and draw their samples.

    Args:
        quick: Build only the recurrent network, with few samples.
    """
    torch.manual_seed(0)
    count = 4 if quick else SAMPLES
    tokens = torch.randint(1, WORDS, (count, 32))
    recurrent = Case("LSTM, 32 steps", Recurrent("LSTM").eval(), tokens)
    if quick:
        return [recurrent]
    models = import_torchvision().models
    transformer = models.VisionTransformer(
        image_size=64,
        patch_size=16,
        num_layers=12,
        num_heads=3,
        hidden_dim=192,
        mlp_dim=768,
        num_classes=CLASSES,
    )
    # torchvision starts with a head of zeros, at which the gradients of all other layers are zero.
    nn.init.normal_(transformer.heads.head.weight, std=0.02, generator=torch.Generator().manual_seed(0))
    large, small = torch.rand(count, 3, 64, 64), torch.rand(count, 3, 32, 32)
    return [
        Case("ResNet-18, 64 px", models.resnet18(num_classes=CLASSES).eval(), large),
        Case("ViT-Ti/16, 64 px", transformer.eval(), large),
        Case("ConvNet, 32 px", ConvNet()((3, 32, 32), CLASSES).eval(), small),
        recurrent,
    ]


def measure(case: Case, clock: Clock, *, sizes: tuple[int, ...]) -> Row:
    """Measure one network.

    Args:
        case: The network and its samples.
        clock: Clock to measure with.
        sizes: Sizes of the sketches; the last one's speed is measured.
    """
    models, labels = (case.network, moved(case.network)), torch.arange(len(case.samples)) % CLASSES
    shapes = [parameter.shape for parameter in trainable_parameters(case.network).values()]
    sketch = FactoredProjection.draw(shapes, sizes[-1], generator=torch.Generator().manual_seed(0))
    methods = methods_of(models, case.samples, labels, sketch)
    seconds = clock.race(methods)
    return Row(
        case.name,
        sketch.dimension,
        sketch.components,
        {name: len(labels) / time for name, time in seconds.items()},
        {name: peak_of(method) for name, method in methods.items()},
        errors(gradient_differences(*models, case.samples, labels), shapes, sizes),
    )


def moved(network: nn.Module) -> nn.Module:
    """Copy a network, and move its parameters by noise."""
    other = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in other.parameters():
            deviation = parameter.std() if parameter.numel() > 1 else parameter.abs().mean()
            parameter.add_(_MOVED * deviation * torch.randn_like(parameter))
    return other


def methods_of(
    models: tuple[nn.Module, nn.Module], samples: Tensor, labels: Tensor, sketch: VectorSketch
) -> dict[str, Method]:
    """Return the methods that compute sketches of gradient differences; the ordinary passes compute none.

    Args:
        models: The original and the unlearned model.
        samples: Images or tokens, `[n, ...]`.
        labels: Their classes, `[n]`.
        sketch: The sketch.
    """

    def factored() -> Tensor:
        return torch.cat(
            list(read_differences(*models, samples, labels, sketch, memory_budget=DEFAULT_BUDGET))
        )

    def of_vectors() -> Tensor:
        return sketch.transform(gradient_differences(*models, samples, labels))

    def ordinary() -> None:
        for model in models:
            model.zero_grad()
            F.cross_entropy(model(samples), labels).backward()

    def with_vmap() -> Tensor:
        before, after = (torch.empty(len(labels), parameter_count(model)) for model in models)
        with warnings.catch_warnings():
            # torch says that an LSTM is slow here, which the benchmark shows.
            warnings.simplefilter("ignore", UserWarning)
            for model, gradients in zip(models, (before, after), strict=True):
                write_with_vmap(model, samples, labels, gradients)
        return sketch.transform(before.sub_(after))

    return {FACTORED: factored, MATERIALIZED: of_vectors, ORDINARY: ordinary, VMAP: with_vmap}


def peak_of(method: Method) -> float:
    """Return the peak memory of a call beyond that before it, in MiB."""
    give_back_freed_memory()
    before, peak = start_peak()(), start_peak()
    method()
    return (peak() - before) / 2**20


def errors(vectors: Tensor, shapes: list[torch.Size], sizes: tuple[int, ...]) -> dict[int, dict[str, float]]:
    """Measure the relative errors of inner products by the size and the kind of a sketch.

    Args:
        vectors: Gradient differences, `[n, d]`.
        shapes: Shapes of the parameters.
        sizes: Sizes of the sketches.
    """
    found = dict[int, dict[str, float]]()
    for size in sizes:
        kinds: dict[str, Callable[[Generator], Tensor]] = {
            FACTORED: partial(_factored, vectors, shapes, size),
            "count sketch": partial(_counted, vectors, size),
        }
        if size * vectors.shape[1] <= _MAX_DENSE:
            kinds["dense Gaussian"] = partial(_dense, vectors, size)
        found[size] = {
            kind: sum(
                distortion(vectors, sketched(torch.Generator().manual_seed(draw))) for draw in range(DRAWS)
            )
            / DRAWS
            for kind, sketched in kinds.items()
        }
    return found


def write(folder: Path, rows: list[Row], *, repeats: int, machine: str) -> None:
    """Write the page.

    Args:
        folder: Its folder.
        rows: The measured networks.
        repeats: Number of timed calls, of which the median counts.
        machine: The machine and the clock, in words.
    """
    page = PAGE.format(
        repeats=repeats,
        samples=SAMPLES,
        machine=machine,
        largest=SIZES[-1],
        aim=AIM,
        draws=DRAWS,
        speed=markdown(SPEED_HEADER, speed_rows(rows)),
        memory=markdown(MEMORY_HEADER, memory_rows(rows)),
        error=markdown(ERROR_HEADER, error_rows(rows)),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "projections.md").write_text(page, encoding="utf-8")


def speed_rows(rows: list[Row]) -> list[list[object]]:
    """Return the rates as rows of a table."""
    return [
        [row.network, f"{row.parameters:,}", f"{row.components:,}", *row.rates.values(), row.ratio]
        for row in rows
    ]


def memory_rows(rows: list[Row]) -> list[list[object]]:
    """Return the peaks as rows of a table."""
    return [[row.network, *row.peaks.values()] for row in rows]


def error_rows(rows: list[Row]) -> list[list[object]]:
    """Return the errors as rows of a table."""
    return [
        [row.network, f"{size:,}", *(found.get(kind, "-") for kind in ERROR_HEADER[2:])]
        for row in rows
        for size, found in row.errors.items()
    ]


def _factored(vectors: Tensor, shapes: list[torch.Size], size: int, generator: Generator) -> Tensor:
    return FactoredProjection.draw(shapes, size, generator=generator).transform(vectors)


def _counted(vectors: Tensor, size: int, generator: Generator) -> Tensor:
    return CountSketch.draw(vectors.shape[1], size, generator=generator).transform(vectors)


def _dense(vectors: Tensor, size: int, generator: Generator) -> Tensor:
    """Project by a dense Gaussian matrix, whose rows are drawn in blocks."""
    result = torch.zeros(len(vectors), size)
    for columns in vectors.split(4096, dim=1):
        result += columns @ torch.randn(columns.shape[1], size, generator=generator)
    return result / math.sqrt(size)
