"""One run of the forgetting study: a federation, its shadow federations, and every unlearning method on all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor

from palimpsest.config import AuditConfig
from palimpsest.datasets import load_data
from palimpsest.errors import PalimpsestError
from palimpsest.federation import Federation, Training
from palimpsest.gradients import difference_chunks, gradient_differences
from palimpsest.membership import (
    Answers,
    Assessment,
    Pool,
    ProofReadings,
    Split,
    assess_with_shadows,
    compare_with_proofs,
    make_pool,
    make_splits,
    train_shadow,
    unlearn_shadow,
)
from palimpsest.metrics import Forgetting, Rate
from palimpsest.models import load_parameters
from palimpsest.pipeline.results.rates import forgetting_rates
from palimpsest.pipeline.stages.federate import train_original
from palimpsest.randomness import make_generator
from palimpsest.registry import METHODS
from palimpsest.reproduce.forgetting_yardstick import Readings, Yardstick, measure_yardstick, read_retrainings
from palimpsest.runs import Run
from palimpsest.storage import Record
from palimpsest.system.device import pick_device
from palimpsest.unlearning import Request, Unlearning, make_request, measure_forgetting, unlearn


@dataclass(frozen=True)
class Logits(Record):
    """Logits of the shadow models that unlearned, `[shadows, samples, classes]`."""

    logits: Tensor


@dataclass(frozen=True)
class Measured:
    """Measurements of one method in one run.

    Args:
        forgetting: Accuracies, and distances from exact retraining.
        rates: Accuracies and agreement with their intervals over the samples; see `forgetting_rates`.
        assessment: Results of the membership tests.
        yardstick: Comparison with retrainings with other seeds.
        seconds: Wall-clock time of unlearning in seconds.
    """

    forgetting: Forgetting
    rates: Mapping[str, Rate]
    assessment: Assessment
    yardstick: Yardstick
    seconds: float


@dataclass(frozen=True)
class Measurements:
    """Measurements of one run.

    Args:
        methods: Measurements by method.
        failures: The reason for each method that failed.
        shadow_seconds: Wall-clock time of the shadow federations' training, in seconds.
    """

    methods: dict[str, Measured]
    failures: dict[str, str]
    shadow_seconds: float


@dataclass(frozen=True, eq=False)
class _Trained:
    """Everything that the methods of a run share."""

    federation: Federation
    request: Request
    pool: Pool
    answers: Answers
    original: Training
    splits: list[Split]
    shadows: list[Training]
    readings: Readings


def measure_run(
    config: AuditConfig,
    methods: Sequence[str],
    *,
    folder: Path,
    shadows: int,
    unlearned_shadows: int,
    pairs: int,
    data_dir: Path | None = None,
    console: Console | None = None,
) -> Measurements:
    """Train a federation and its shadow federations, unlearn by each method, and measure what is left.

    Args:
        config: Data, model, federation and unlearning request; its unlearning method is ignored.
        methods: Names of unlearning methods, each with its defaults, `retrain` among them.
        folder: The run folder. Its finished stages are reused.
        shadows: Number of shadow federations, even.
        unlearned_shadows: Number of them that unlearn by each method, even.
        pairs: Largest number of candidates of each kind.
        data_dir: A folder that mirrors the data sets; None means the default folder.
        console: Console for the stages' output; if omitted, nothing is printed.

    Returns:
        The measurements. A method that failed is left out, with its reason.
    """
    with Run.open(folder, config, console=console or Console(quiet=True), replace=True) as run:
        trained = _train(run, config, shadows=shadows, pairs=pairs, data_dir=data_dir)
        exact = _unlearn(run, config, trained, "retrain")
        measured, failures = dict[str, Measured](), dict[str, str]()
        for method in methods:
            try:
                measured[method] = _measure(run, config, trained, method, exact, unlearned_shadows)
            # The other methods are measured, and the table says why this one is missing.
            except PalimpsestError as error:
                failures[method] = str(error)
        seconds = run.seconds()
    total = sum(seconds[f"shadow-{split.index:02d}"] for split in trained.splits)
    return Measurements(measured, failures, total)


def _train(run: Run, config: AuditConfig, *, shadows: int, pairs: int, data_dir: Path | None) -> _Trained:
    data = load_data(config.data, clients=config.federation.clients, seed=config.seed, data_dir=data_dir)
    federation = Federation(data, config.model, config.federation, config.seed, pick_device(config.device))
    request = make_request(config.unlearning, data, seed=config.seed)
    # FedEraser needs the clients' updates, so all methods share a training that stored them.
    original = train_original(run, federation, request, config.unlearning.by("federaser"))
    generator = make_generator(config.seed, "membership", "candidates")
    pool = make_pool(data, request, count=pairs, generator=generator)
    splits = make_splits(federation, pool, shadows)
    ensure = config.unlearning.ensure_participation

    def train(split: Split) -> Training:
        return run.stage(
            f"shadow-{split.index:02d}",
            Training,
            lambda scratch: train_shadow(split, ensure=ensure, scratch=scratch, history=_history(run, split)),
            key=(split.federation, ensure),
        )

    readings = run.stage(
        "retrainings",
        Readings,
        lambda _: read_retrainings(original, federation, request),
        key=(original, federation),
    )
    return _Trained(
        federation,
        request,
        pool,
        Answers(federation, pool),
        original,
        splits,
        [train(split) for split in splits],
        readings,
    )


def _measure(
    run: Run, config: AuditConfig, trained: _Trained, method: str, exact: Unlearning, unlearned_shadows: int
) -> Measured:
    settings = config.unlearning.by(method)
    unlearned = exact if method == "retrain" else _unlearn(run, config, trained, method)
    forgetting = run.stage(
        f"forgetting-{method}",
        Forgetting,
        lambda _: measure_forgetting(
            trained.original.parameters,
            unlearned.parameters,
            exact.parameters,
            trained.federation,
            trained.request,
        ),
        key=(trained.original, unlearned, exact, trained.federation),
    )
    after = run.stage(
        f"unlearned-shadows-{method}",
        Logits,
        lambda scratch: _unlearn_shadows(run, config, trained, method, scratch, unlearned_shadows),
        key=(*trained.shadows[:unlearned_shadows], trained.federation, len(trained.pool.rows), settings),
    )
    proofs = run.stage(
        f"proofs-{method}",
        ProofReadings,
        lambda _: _read_proofs(trained, unlearned),
        key=(trained.original, unlearned, trained.federation, len(trained.pool.rows)),
    )
    assessment = run.stage(
        f"membership-{method}",
        Assessment,
        lambda _: _assess(trained, unlearned, after.logits, proofs),
        key=(trained.original, unlearned, after, proofs, *trained.shadows, trained.federation),
    )
    yardstick = run.stage(
        f"yardstick-{method}",
        Yardstick,
        lambda _: measure_yardstick(
            unlearned.parameters,
            exact.parameters,
            trained.original,
            trained.readings.models,
            trained.federation,
            trained.request,
        ),
        key=(trained.original, unlearned, exact, trained.readings, trained.federation),
    )
    data, count = trained.federation.data, len(unlearned.forgotten)
    sizes = {"retained": len(data.train) - count, "forgotten": count, "test": len(data.test)}
    rates = forgetting_rates(forgetting, sizes, classes=data.train.classes)
    return Measured(forgetting, rates, assessment, yardstick, run.seconds()[f"unlearned-{method}"])


def _unlearn(run: Run, config: AuditConfig, trained: _Trained, method: str) -> Unlearning:
    settings = config.unlearning.by(method)
    return run.stage(
        f"unlearned-{method}",
        Unlearning,
        lambda scratch: unlearn(
            trained.original,
            trained.federation,
            trained.request,
            settings,
            scratch=scratch,
            history=run.folder / "history" if METHODS.get(method).needs_history else None,
        ),
        key=(trained.original, trained.federation, settings),
    )


def _unlearn_shadows(
    run: Run, config: AuditConfig, trained: _Trained, method: str, scratch: Path, count: int
) -> Logits:
    settings = config.unlearning.by(method)
    logits = [
        trained.answers(
            unlearn_shadow(
                split,
                training,
                settings,
                scratch=scratch / f"{split.index:02d}",
                history=_history(run, split) if METHODS.get(method).needs_history else None,
            ),
            population=False,
        )
        for split, training in list(zip(trained.splits, trained.shadows, strict=True))[:count]
    ]
    return Logits(torch.stack(logits))


def _read_proofs(trained: _Trained, unlearned: Unlearning) -> ProofReadings:
    """Compare the candidates with the proofs of all forgotten samples, which have no defense."""
    before, later = (
        load_parameters(trained.federation.network(), parameters).to(trained.federation.device)
        for parameters in (trained.original.parameters, unlearned.parameters)
    )
    images, pool = trained.pool.data.train, trained.pool
    forgotten, candidates = images.subset(unlearned.forgotten), images.subset(pool.rows)
    proofs = gradient_differences(before, later, forgotten.images, forgotten.labels)
    return compare_with_proofs(difference_chunks(before, later, candidates.images, candidates.labels), proofs)


def _assess(trained: _Trained, unlearned: Unlearning, after: Tensor, proofs: ProofReadings) -> Assessment:
    return assess_with_shadows(
        trained.answers,
        trained.splits,
        original=trained.original.parameters,
        unlearned=unlearned.parameters,
        shadows=torch.stack([trained.answers(shadow.parameters) for shadow in trained.shadows]),
        unlearned_shadows=after,
        proofs=proofs,
    )


def _history(run: Run, split: Split) -> Path:
    return run.folder / "shadow-history" / f"{split.index:02d}"
