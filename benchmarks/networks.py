"""Benchmark of common networks: per-sample gradients beside backward passes, and a whole audit of each network."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

import palimpsest as pp
from benchmarks.document import markdown
from benchmarks.timing import Clock, print_table
from benchmarks.zoo import CLASSES, NETWORKS, WORDS, Network, build
from palimpsest.errors import ModelError
from palimpsest.gradients import parameter_count, per_sample_gradients, set_trainable
from palimpsest.gradients.dispatch import select_engine, write_sample_by_sample, write_with_vmap
from palimpsest.models.custom import as_classifier

SAMPLES, FEWEST = 32, 8
HEADER = ("network", "library", "trained", "parameters", "engine", "ours (ms)", "loop (ms)", "vmap (ms)")
HEADER += ("ratio", f"ratio, {FEWEST} samples", "audit")
PAGE = """# Networks

    python -m benchmarks --only networks --threads 1 --clock cpu --repeats {count} --out docs

builds the networks below with random weights and small inputs, and takes each through `prove`, `doctor` and
`attack` on files. The attack has one epoch and few auxiliary samples, since only its end matters here. The
columns compare the times of the per-sample gradients of {samples} samples: ours, with the choice of an
engine; a loop with one backward pass for each sample; and `torch.func.vmap`, where it can run. "Ratio"
divides our time by the loop's; the aim is at most {limit}, also for {fewest} samples. Each time is {repeats},
after a warm-up call. A network whose library is not installed is left out; the last line names it.

{machine}.

{table}

{slower}

How an engine is chosen: one backward pass per sample for at most 4 samples, or 8 of a network with an LSTM,
or 24 of one that branches on its data, which a batched pass does not repay; otherwise layer by layer if
every layer with trained parameters has a [rule](../how-to/layer-rule.md) and the samples stay apart in all of
them; otherwise one backward pass per sample if the network has a recurrent layer, which `vmap` slows down;
otherwise `vmap`, or one backward pass per sample if it fails. A test that no sample affects another takes two
forward passes more. The choice never depends on a measured time, so the same samples have bitwise the same
gradients again.

{missing}
"""
_LIMIT = 1.3
_COST = (
    "Choosing an engine takes up to three passes of two samples and a try of `vmap`: a few milliseconds, which few "
    "samples of a small network do not repay."
)
Writer = Callable[[nn.Module, Tensor, Tensor, Tensor], None]
"""Writes the gradients of a model at samples and labels into a matrix."""
_SETTINGS = {"epochs": 1, "components": 4, "batch_size": 8, "queries": 1}
_IMAGES = {"name": "igf", "beta": 0, "horizontal_flip": False}


@dataclass(frozen=True)
class Row:
    """Measurement of one network.

    Args:
        network: Its name.
        library: Its library.
        trained: Number of trained parameters.
        parameters: Number of all parameters.
        engine: The engine that computed the gradients.
        seconds: Seconds of the gradients of many samples, by the way they are computed: ours, with the choice of the
            engine; the loop of backward passes; and vmap if it supports the network.
        fewest: The same for few samples, without vmap.
        audit: `ok`, or the message of the step that failed.
    """

    network: str
    library: str
    trained: int
    parameters: int
    engine: str
    seconds: dict[str, float]
    fewest: dict[str, float]
    audit: str


def run(clock: Clock, *, quick: bool, folder: Path | None, machine: str) -> None:
    """Measure all networks, print the table, and write the page `reference/networks.md`.

    Args:
        clock: Clock to measure with.
        quick: Measure one network of each kind of samples, with few samples.
        folder: Folder of the documentation; None writes nothing.
        machine: The machine and the clock, in words.
    """
    measured = list[Row]()
    for row in rows(clock, quick=quick):
        measured.append(row)
        # The page is written after each network, so that finished rows can be read while the rest is measured.
        if folder is not None:
            write(folder / "reference", measured, repeats=clock.repeats, samples=SAMPLES, machine=machine)
    print_table("Networks", HEADER, cells(measured))


def rows(clock: Clock, *, quick: bool) -> Iterator[Row]:
    """Measure each network whose library is installed.

    Args:
        clock: Clock to measure with.
        quick: Measure one network of each kind of samples, with few samples.
    """
    samples, fewest = (4, 2) if quick else (SAMPLES, FEWEST)
    for network in NETWORKS:
        if network.installed and (not quick or network.name in ("squeezenet1_1", "GRU")):
            yield measure(network, clock, samples=samples, fewest=fewest)


def measure(network: Network, clock: Clock, *, samples: int, fewest: int) -> Row:
    """Measure one network.

    Args:
        network: The network.
        clock: Clock to measure with.
        samples: Number of samples.
        fewest: Another number of samples, for which the choice of the engine takes a larger part of the time.
    """
    torch.manual_seed(0)
    model = build(network.name).eval()
    if network.trainable is not None:
        set_trainable(model, network.trainable)
    batch, labels = inputs(network, samples, seed=1), torch.arange(samples) % CLASSES
    classifier = as_classifier(model, batch)
    engines: dict[str, Writer] = {"loop": write_sample_by_sample}
    engine = select_engine(classifier, batch[:2], samples)
    engine.write(batch, labels, _rows_for(classifier, samples))
    with suppress(ModelError):
        write_with_vmap(classifier, batch[:1], labels[:1], _rows_for(classifier, 1))
        engines["vmap"] = write_with_vmap
    return Row(
        network=network.name,
        library=network.library,
        trained=parameter_count(classifier),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        engine=engine.kind,
        seconds=_race(classifier, batch, labels, engines, clock),
        fewest=_race(classifier, batch[:fewest], labels[:fewest], {"loop": write_sample_by_sample}, clock),
        audit=audit(network, model),
    )


def _race(
    model: nn.Module, batch: Tensor, labels: Tensor, engines: dict[str, Writer], clock: Clock
) -> dict[str, float]:
    """Measure our gradients and others; each call allocates the memory of its result."""

    def write(way: Writer) -> None:
        way(model, batch, labels, _rows_for(model, len(batch)))

    candidates = {name: partial(write, way) for name, way in engines.items()}
    return clock.race({"ours": partial(per_sample_gradients, model, batch, labels), **candidates})


def _rows_for(model: nn.Module, count: int) -> Tensor:
    return torch.empty(count, parameter_count(model))


def inputs(network: Network, count: int, *, seed: int) -> Tensor:
    """Make random samples that a network takes: images in [0, 1], or tokens that end with padding."""
    generator = torch.Generator().manual_seed(seed)
    if network.pixels:
        return torch.rand(count, *network.sample_shape, generator=generator)
    tokens = torch.randint(1, WORDS, (count, network.length), generator=generator)
    lengths = torch.randint(network.length // 2, network.length + 1, (count, 1), generator=generator)
    return tokens * (torch.arange(network.length) < lengths)


def audit(network: Network, model: nn.Module) -> str:
    """Take a network through `prove`, `doctor` and `attack` on files in a temporary folder.

    Args:
        network: The network.
        model: The network as it is before unlearning; it is changed.

    Returns:
        `ok`, or the step that failed and its message.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        checkpoints = _write_checkpoints(folder, model)
        forgotten = _write_samples(folder, network, "forgotten", 1, seed=2)
        auxiliary = _write_samples(folder, network, "auxiliary", 6, seed=3)
        keys: dict[str, Any] = {
            **checkpoints,
            "model": "benchmarks.zoo:build",
            "model_arguments": {"name": network.name},
            "trainable": network.trainable,
            "device": "cpu",
        }
        step = "prove"
        try:
            pp.prove(
                keys.pop("original"),
                keys.pop("unlearned"),
                forgotten,
                out=folder / "proofs.safetensors",
                **keys,
            )
            keys |= {**checkpoints, "proofs": folder / "proofs.safetensors", "auxiliary": auxiliary}
            named = _IMAGES | {"width": network.pixels // 2} if network.pixels else {"name": "igf-tokens"}
            keys |= {"truth": forgotten, "attack": _SETTINGS | named}
            step = "doctor"
            errors = [finding for finding in pp.doctor(**keys).findings if finding.level == "error"]
            if errors:
                return f"doctor: {errors[0].message}"
            step = "attack"
            pp.attack(**keys, out=folder / "run", quiet=True)
        except pp.PalimpsestError as error:
            return f"{step}: {error}"
    return "ok"


def _write_checkpoints(folder: Path, model: nn.Module) -> dict[str, str]:
    paths = {name: str(folder / f"{name}.safetensors") for name in ("original", "unlearned")}
    generator = torch.Generator().manual_seed(1)
    for path in paths.values():
        # A checkpoint has no tensors that share memory.
        save_file({name: value.clone() for name, value in model.state_dict().items()}, path)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator))
    return paths


def _write_samples(folder: Path, network: Network, name: str, per_class: int, *, seed: int) -> str:
    """Write a folder of class folders with images, or a table of tokens."""
    samples = inputs(network, per_class * CLASSES, seed=seed)
    if not network.pixels:
        lines = [f"{' '.join(map(str, row))},{place % CLASSES}" for place, row in enumerate(samples.tolist())]
        path = folder / f"{name}.csv"
        path.write_text("\n".join(["tokens,label", *lines]) + "\n", encoding="utf-8")
        return str(path)
    for place, image in enumerate(samples.mul(255).byte()):
        target = folder / name / f"class{place % CLASSES}"
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.movedim(0, -1).numpy()).save(target / f"{place:03}.png")
    return str(folder / name)


def cells(measured: Iterable[Row]) -> list[tuple[object, ...]]:
    """Return the cells of the table, one tuple for each network."""
    return [
        (
            row.network,
            row.library,
            f"{row.trained:,}",
            f"{row.parameters:,}",
            row.engine,
            1e3 * row.seconds["ours"],
            1e3 * row.seconds["loop"],
            1e3 * row.seconds["vmap"] if "vmap" in row.seconds else "-",
            *(times["ours"] / times["loop"] for times in (row.seconds, row.fewest)),
            row.audit,
        )
        for row in measured
    ]


def slower(measured: Iterable[Row]) -> str:
    """Return a sentence that names the networks whose ratio is above the aim, with their ratios."""
    named = list[str]()
    for row in measured:
        ratios = {"": row.seconds, f" for {FEWEST} samples": row.fewest}
        above = [
            f"{times['ours'] / times['loop']:.3g}{suffix}"
            for suffix, times in ratios.items()
            if times["ours"] > _LIMIT * times["loop"]
        ]
        if above:
            named.append(f"{row.network} ({', '.join(above)})")
    return f"Above {_LIMIT}: {'; '.join(named)}. {_COST}" if named else f"No ratio is above {_LIMIT}."


def write(folder: Path, measured: Sequence[Row], *, repeats: int, samples: int, machine: str) -> None:
    """Write the page `networks.md`.

    Args:
        folder: Its folder.
        measured: The measurements.
        repeats: Number of timed calls behind each time.
        samples: Number of samples behind each time.
        machine: The machine and the clock, in words.
    """
    names = {row.network for row in measured}
    missing = "; ".join(network.name for network in NETWORKS if network.name not in names)
    page = PAGE.format(
        samples=samples,
        fewest=FEWEST,
        count=repeats,
        repeats=f"the median of {repeats} calls" if repeats > 1 else "that of one call",
        machine=machine,
        table=markdown(HEADER, cells(measured)),
        limit=_LIMIT,
        slower=slower(measured),
        missing=f"Not measured: {missing}." if missing else "All networks of the benchmark are in the table.",
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "networks.md").write_text(page, encoding="utf-8")
