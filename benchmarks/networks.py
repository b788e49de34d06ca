"""Benchmark of common networks: per-sample gradients beside backward passes, and a whole audit of each network."""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
from palimpsest.gradients import parameter_count, per_sample_gradients, set_trainable
from palimpsest.gradients.dispatch import select_engine, write_sample_by_sample
from palimpsest.models.custom import as_classifier

HEADER = ("network", "library", "trained", "parameters", "engine", "ours (ms)", "loop (ms)", "ratio", "audit")
PAGE = """# Networks

    python -m benchmarks --only networks --threads 1 --clock cpu --out docs

builds the networks below with random weights and small inputs, and takes each through `prove`, `doctor` and `attack` on
files. The attack has one epoch and few auxiliary samples, since only its end matters here. The column "ratio" divides
the time of the per-sample gradients of {samples} samples, with the choice of an engine, by that of one backward pass
for each sample in turn; it should be at most 1.3. Each time is the median of {repeats} calls. A network whose library
is not installed is left out by name.

{machine}.

{table}

How an engine is chosen: layer by layer if every layer with trained parameters has a
[rule](../how-to/layer-rule.md); otherwise `vmap` if the network supports it; otherwise one backward pass per sample.
The choice never depends on a measured time, so the same network has bitwise the same gradients again.

{skipped}
"""
SAMPLES = 32
_SETTINGS = {"epochs": 1, "components": 4, "batch_size": 8, "queries": 1}
_IMAGES = {"name": "igf", "width": 16, "beta": 0, "horizontal_flip": False}


@dataclass(frozen=True)
class Row:
    """Measurement of one network.

    Args:
        network: Its name.
        library: Its library.
        trained: Number of trained parameters.
        parameters: Number of all parameters.
        engine: The engine that was chosen, or `none` if there are no gradients.
        ours: Seconds of the per-sample gradients, with the choice of the engine.
        loop: Seconds of one backward pass for each sample.
        audit: `ok`, or the message of the step that failed.
    """

    network: str
    library: str
    trained: int
    parameters: int
    engine: str
    ours: float
    loop: float
    audit: str

    @property
    def ratio(self) -> float:
        """Our time relative to the loop's; below 1 means that ours is shorter."""
        return self.ours / self.loop


def run(clock: Clock, *, quick: bool, folder: Path | None, machine: str) -> None:
    """Measure all networks, print the table, and write the page `reference/networks.md`.

    Args:
        clock: Clock to measure with.
        quick: Measure one network of each kind of samples, with few samples.
        folder: Folder of the documentation; None writes nothing.
        machine: The machine and the clock, in words.
    """
    measured = rows(clock, quick=quick)
    print_table("Networks", HEADER, cells(measured))
    if folder is not None:
        write(folder / "reference", measured, repeats=clock.repeats, samples=SAMPLES, machine=machine)


def rows(clock: Clock, *, quick: bool) -> list[Row]:
    """Measure each network whose library is installed.

    Args:
        clock: Clock to measure with.
        quick: Measure one network of each kind of samples, with few samples.
    """
    networks = [network for network in NETWORKS if network.installed]
    if quick:
        networks = [network for network in networks if network.name in ("squeezenet1_1", "GRU")]
    return [measure(network, clock, samples=4 if quick else SAMPLES) for network in networks]


def skipped() -> list[str]:
    """Return the names of the networks whose library is not installed."""
    return [network.name for network in NETWORKS if not network.installed]


def measure(network: Network, clock: Clock, *, samples: int) -> Row:
    """Measure one network.

    Args:
        network: The network.
        clock: Clock to measure with.
        samples: Number of samples.
    """
    torch.manual_seed(0)
    model = build(network.name).eval()
    if network.trainable is not None:
        set_trainable(model, network.trainable)
    batch, labels = inputs(network, samples, seed=1), torch.arange(samples) % CLASSES
    classifier = as_classifier(model, batch)
    engine = select_engine(classifier, batch[:2]).kind
    out = torch.empty(samples, parameter_count(classifier))
    seconds = clock.race(
        {
            "ours": lambda: per_sample_gradients(classifier, batch, labels),
            "loop": lambda: write_sample_by_sample(classifier, batch, labels, out),
        }
    )
    total = sum(parameter.numel() for parameter in model.parameters())
    audited = audit(network, model)
    return Row(
        network.name, network.library, out.shape[1], total, engine, seconds["ours"], seconds["loop"], audited
    )


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
            keys |= {
                "truth": forgotten,
                "attack": _SETTINGS | (_IMAGES if network.pixels else {"name": "igf-tokens"}),
            }
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
            1e3 * row.ours,
            1e3 * row.loop,
            row.ratio,
            row.audit,
        )
        for row in measured
    ]


def write(folder: Path, measured: Sequence[Row], *, repeats: int, samples: int, machine: str) -> None:
    """Write the page `networks.md`.

    Args:
        folder: Its folder.
        measured: The measurements.
        repeats: Number of timed calls behind each time.
        samples: Number of samples behind each time.
        machine: The machine and the clock, in words.
    """
    missing = ", ".join(skipped())
    page = PAGE.format(
        samples=samples,
        repeats=repeats,
        machine=machine,
        table=markdown(HEADER, cells(measured)),
        skipped=f"Left out, since their library is not installed: {missing}."
        if missing
        else "None is left out.",
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "networks.md").write_text(page, encoding="utf-8")
