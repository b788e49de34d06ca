"""Table of exact recovery: share of a batch's samples that a server recovers, by batch size and layer width."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import Tensor

from palimpsest.attacks import BatchReconstruction, ServerAttack, ServerView
from palimpsest.config import AuditConfig
from palimpsest.datasets import load_data
from palimpsest.errors import ConfigurationError
from palimpsest.federation import Federation
from palimpsest.metrics import Rate, in_order, mean_squared_errors, share
from palimpsest.pipeline.stages.federate import train_original, unlearn_twice
from palimpsest.pipeline.stages.server import unlabeled_view
from palimpsest.randomness import make_generator
from palimpsest.registry import ATTACKS
from palimpsest.runs import Run
from palimpsest.storage import write_json, write_text
from palimpsest.system.device import pick_device
from palimpsest.unlearning import make_request

SIZES, WIDTHS, DRAWS = (1, 4, 8, 16, 24), (200, 400, 1000), 5
EXACT = 1e-6
"""Largest mean squared error of an exact sample, pixels in [0, 1]: a PSNR of 60 dB."""
_COMPARED_WIDTH = 400


@dataclass(frozen=True)
class Contender:
    """An attack of the table.

    Args:
        label: Name of the attack's rows.
        attack: Registered name of the attack.
        settings: Settings that differ from the preset's, or from the attack's defaults if the preset has another one.
        widths: Widths of the first layer; None means all.
    """

    label: str
    attack: str
    settings: Mapping[str, Any]
    widths: tuple[int, ...] | None = None


CONTENDERS = (
    Contender("spear, guided", "spear", {"search": "guided"}),
    Contender("spear, uniform", "spear", {"search": "uniform"}, (_COMPARED_WIDTH,)),
    Contender("cocktail-party", "cocktail-party", {}, (_COMPARED_WIDTH,)),
)


@dataclass(frozen=True)
class RecoveryRow:
    """Exact recovery by one attack at one layer width and batch size.

    Args:
        attack: Label of the attack.
        width: Units of the first layer.
        size: Number of unknown samples in the gradient.
        samples: Share of samples that are recovered exactly, over all draws.
        batches: Share of draws whose samples are all recovered exactly.
        certified: Number of draws in which all samples agree with the forward pass; None if the attack does not check.
        wrongly_certified: Number of these draws in which a sample is not exact.
        psnr: PSNR of each draw's mean squared error, in dB, the median over the draws, at most 100.
        submatrices: Mean number of submatrices for each gradient; None if the attack draws none.
        seconds: Mean wall-clock time of the attack on one batch.
    """

    attack: str
    width: int
    size: int
    samples: Rate
    batches: Rate
    certified: int | None
    wrongly_certified: int | None
    psnr: float
    submatrices: float | None
    seconds: float


def batch_recovery_table(
    config: AuditConfig,
    *,
    out: Path,
    sizes: Sequence[int] = SIZES,
    widths: Sequence[int] = WIDTHS,
    draws: int = DRAWS,
    contenders: Sequence[Contender] = CONTENDERS,
    data_dir: Path | None = None,
    console: Console | None = None,
) -> list[RecoveryRow]:
    """Attack batches of several sizes, and write `batch-recovery.md` and `batch-recovery.json`.

    Each draw has a seed of its own, which all attacks share: weights, samples and batches are drawn anew.

    Args:
        config: Data, model, federation and unlearning; the attack's settings hold for the contender of its name.
        out: The folder of the table, which also holds the models' run folders.
        sizes: Numbers of unknown samples in a gradient.
        widths: Units of the first layer.
        draws: Number of draws of each row.
        contenders: The attacks.
        data_dir: A folder that mirrors the data sets; None means the default folder.
        console: Console for the stages' output; if omitted, nothing is printed.

    Returns:
        The rows, by size, width and attack.

    Raises:
        ConfigurationError: The model has no width.
    """
    if not hasattr(config.model, "width"):
        raise ConfigurationError(
            f"The table varies model.width, which {config.model.name} does not have. Use --model.name mlp."
        )
    rows: list[RecoveryRow] = []
    for size in sizes:
        for width in widths:
            attacking = [one for one in contenders if one.widths is None or width in one.widths]
            trials: dict[str, list[_Trial]] = {one.label: [] for one in attacking}
            for draw in range(draws):
                seeded = _config(config, size, width, config.seed + draw)
                folder = out / "models" / f"{width}-{size}-{draw}"
                view, truth = _observe(seeded, folder, data_dir=data_dir, console=console)
                for one in attacking:
                    trials[one.label].append(_attack(one, config, view, truth, seeded.seed))
            rows += [_row(label, width, size, found) for label, found in trials.items()]
            write_json(out / "batch-recovery.json", [asdict(row) for row in rows])
            write_text(out / "batch-recovery.md", markdown(rows))
    return rows


def markdown(rows: Sequence[RecoveryRow]) -> str:
    """Format the table as Markdown.

    Args:
        rows: Rows of the table.
    """
    lines = [
        "| attack | width | batch | samples exact | batches exact | certified (wrongly) | PSNR | submatrices "
        "| seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(f"| {' | '.join(_cells(row))} |" for row in rows),
    ]
    note = (
        f"Exact: MSE below {EXACT:g}. Brackets: exact 95 % intervals (Clopper-Pearson) over the samples or "
        "batches of all draws, each of which has a seed of its own. The samples of a batch are not independent, so the "
        "interval of the batches is the one to rely on."
    )
    return "\n".join([*lines, "", note, ""])


@dataclass(frozen=True)
class _Trial:
    """One attack on one batch: the errors of the samples, whether all are certified, and the effort."""

    errors: Tensor
    certified: bool | None
    submatrices: float | None
    seconds: float


def _config(config: AuditConfig, size: int, width: int, seed: int) -> AuditConfig:
    """Return the configuration of a draw: one batch, of which all samples but one are forgotten."""
    return config.model_copy(
        update={
            "model": config.model.model_copy(update={"width": width}),
            "unlearning": config.unlearning.model_copy(update={"count": size, "fraction": None}),
            "observation": config.observation.model_copy(update={"retained": 1, "forgotten": size}),
            "seed": seed,
        }
    )


def _observe(
    config: AuditConfig, folder: Path, *, data_dir: Path | None, console: Console | None
) -> tuple[ServerView, Tensor]:
    """Train, unlearn and observe one batch; return the server's view and the forgotten images, for scoring."""
    data = load_data(config.data, clients=config.federation.clients, seed=config.seed, data_dir=data_dir)
    federation = Federation(data, config.model, config.federation, config.seed, pick_device(config.device))
    request = make_request(config.unlearning, data, seed=config.seed)
    with Run.open(folder, config, console=console or Console(quiet=True), replace=True) as run:
        original = train_original(run, federation, request, config.unlearning)
        unlearned, _ = unlearn_twice(run, federation, request, original, config.unlearning)
    view, forgotten = unlabeled_view(federation, config, request, original.parameters, unlearned.parameters)
    return view, forgotten.images


def _attack(contender: Contender, config: AuditConfig, view: ServerView, truth: Tensor, seed: int) -> _Trial:
    """Run one attack on one batch, and compare the result with the truth."""
    attack = _build(contender, config)
    start = time.perf_counter()
    found: BatchReconstruction = attack(view, generator=make_generator(seed, "attack"))
    seconds = time.perf_counter() - start
    images = in_order(found.images, truth, batch=len(truth))
    certified = found.facts.get("gradients_consistent")
    return _Trial(
        mean_squared_errors(images, truth),
        None if certified is None else certified == 1,
        found.facts.get("submatrices"),
        seconds,
    )


def _build(contender: Contender, config: AuditConfig) -> ServerAttack:
    """Build an attack, with the settings of the preset if it is the preset's attack."""
    kind = ATTACKS.get(contender.attack)
    preset = config.attack.build()
    settings = preset.model_dump() if isinstance(preset, kind) else {}
    attack = kind(**{**settings, **contender.settings})
    assert isinstance(attack, ServerAttack), "the contenders attack gradients"
    return attack


def _row(label: str, width: int, size: int, trials: Sequence[_Trial]) -> RecoveryRow:
    exact = [trial.errors < EXACT for trial in trials]
    whole = [bool(samples.all()) for samples in exact]
    checks = [trial.certified for trial in trials]
    checked = checks[0] is not None
    psnr = sorted(float(-10 * trial.errors.double().mean().clamp_min(1e-10).log10()) for trial in trials)
    return RecoveryRow(
        attack=label,
        width=width,
        size=size,
        samples=share(
            sum(float(samples.double().mean()) for samples in exact) / len(trials), size * len(trials)
        ),
        batches=share(sum(whole) / len(trials), len(trials)),
        certified=sum(map(bool, checks)) if checked else None,
        wrongly_certified=sum(bool(a) and not b for a, b in zip(checks, whole, strict=True))
        if checked
        else None,
        psnr=psnr[len(psnr) // 2],
        submatrices=_mean(trial.submatrices for trial in trials),
        seconds=sum(trial.seconds for trial in trials) / len(trials),
    )


def _mean(values: Iterator[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers else None


def _cells(row: RecoveryRow) -> list[str]:
    certified = "" if row.certified is None else f"{row.certified} ({row.wrongly_certified})"
    return [
        row.attack,
        f"{row.width:,}",
        str(row.size),
        _rate(row.samples),
        _rate(row.batches),
        certified,
        f"{row.psnr:.1f}",
        "" if row.submatrices is None else f"{row.submatrices:,.0f}",
        f"{row.seconds:.1f}",
    ]


def _rate(rate: Rate) -> str:
    return f"{rate.value:.0%} ({rate.low:.0%} to {rate.high:.0%})"
