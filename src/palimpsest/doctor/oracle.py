"""Checks of the oracle's answers, and of the queries, memory and disk space that the attack will need."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from palimpsest.artifacts.config import ArtifactsConfig
from palimpsest.artifacts.models import Models
from palimpsest.artifacts.oracle import OracleSource
from palimpsest.attacks import Attack, AuditorView, LearnedInversion
from palimpsest.attacks.learned.perceptual_loss import load_vgg_features
from palimpsest.datasets import SampleSet
from palimpsest.doctor.finding import Finding, error, ok, warning
from palimpsest.doctor.proofs import distance
from palimpsest.gradients import gradient_differences
from palimpsest.oracles import ModelOracle, RecordedOracle, ShardedOracle, query_all

_TESTED = 4
_SAME = 1e-2
_SMALL_SET = 200


def check_answers(
    oracle_source: OracleSource, models: Models | None, auxiliary: SampleSet
) -> Iterator[Finding]:
    """Query a few samples, measure the time, and compare the answers with the checkpoints' gradients.

    Args:
        oracle_source: The oracle.
        models: The two models, or None if the user holds no checkpoints.
        auxiliary: The auditor's own samples.
    """
    samples = auxiliary.subset(torch.arange(min(_TESTED, len(auxiliary))))
    first = query_all(oracle_source.oracle, samples.subset(torch.arange(1)))
    # The first query includes setup, so the time is measured over the others.
    start = time.perf_counter()
    answers = torch.cat(
        [first, query_all(oracle_source.oracle, samples.subset(torch.arange(1, len(samples))))]
    )
    seconds = (time.perf_counter() - start) / max(1, len(samples) - 1)
    zeros = int((answers.norm(dim=1) == 0).sum())
    yield ok("oracle", f"Answers come from {oracle_source.source}, in {seconds:.2g} s per sample.")
    if zeros:
        yield warning(
            "oracle", f"{zeros} of {len(samples)} answers are zero. The attack can learn nothing from them."
        )
    yield from _check_repeated_queries(oracle_source, samples, answers)
    if models is None or isinstance(oracle_source.oracle, (ModelOracle, ShardedOracle)):
        return
    expected = gradient_differences(models.original, models.unlearned, samples.inputs, samples.labels).cpu()
    deviation = distance(answers, expected)
    if deviation <= _SAME:
        yield ok(
            "oracle",
            f"Its answers are the checkpoints' gradient differences (relative distance {deviation:.1e}).",
        )
    else:
        yield error(
            "oracle",
            f"Its answers are not the checkpoints' gradient differences (relative distance {deviation:.2g}). Check the "
            "order of its rows, its models and its loss.",
        )


def _check_repeated_queries(
    oracle_source: OracleSource, samples: SampleSet, answers: Tensor
) -> Iterator[Finding]:
    """Repeat the queries in reverse order; an attack learns only from answers that depend on the sample alone."""
    oracle = oracle_source.oracle
    if not isinstance(oracle, RecordedOracle) or len(samples) > oracle.batch_size:
        return
    again = oracle.ask_anew(samples.inputs.flip(0), samples.labels.flip(0)).flip(0)
    deviation = distance(again, answers)
    if deviation > _SAME:
        yield error(
            "oracle",
            f"Its answers to repeated queries differ (relative distance {deviation:.2g}). They depend on the order of "
            "the samples or on random numbers, or they are false.",
        )


def check_plan(config: ArtifactsConfig, view: AuditorView[Any], folder: Path) -> Iterator[Finding]:
    """Check the number of queries that the attack will make, and the space that the answers take.

    Args:
        config: The artifacts and the attack.
        view: The auditor's view.
        folder: The folder that the attack's run would use.
    """
    attack = config.attack.build()
    if isinstance(attack, LearnedInversion):
        yield from _check_auxiliary_size(len(view.auxiliary), view.auxiliary.kind)
        queried = len(view.auxiliary) * attack.affordable(view)
        probes = attack.probes(view)
        queried += probes if view.affords(probes) else 0
        wanted = len(view.auxiliary) * attack.queries + probes
        result = f"The attack queries at most {queried:,} samples"
        if view.remaining_queries is None:
            yield ok("queries", f"{result}.")
        elif queried < wanted:
            yield warning(
                "queries",
                f"{result} because of the query budget; without it, it would query {wanted:,}. Expect a weaker attack.",
            )
        else:
            yield ok(
                "queries", f"{result}, within the limit of {view.remaining_queries + len(view.auxiliary):,}."
            )
    yield _check_space(view, folder)
    yield from _check_basis(attack, view)
    if isinstance(attack, LearnedInversion) and attack.beta > 0:
        load_vgg_features(attack.vgg_weights)


def _check_auxiliary_size(count: int, kind: str) -> Iterator[Finding]:
    """Check that there are enough samples for the attack to learn from."""
    if count < 2:
        yield error(
            "auxiliary",
            f"The attack learns from auxiliary {kind}, but only one sample is given. Give at least {_SMALL_SET}.",
        )
    elif count < _SMALL_SET:
        yield warning(
            "auxiliary",
            f"The attack learns from auxiliary {kind}, and {count} are a small set. The paper uses 8,000.",
        )


def _check_basis(attack: Attack, view: AuditorView[Any]) -> Iterator[Finding]:
    """Check that a projection's basis fits into memory; each direction is as long as a proof."""
    settings = attack.model_dump()
    if "components" not in settings or settings.get("reduction", "svd") != "svd":
        return
    wanted = settings["components"]
    directions = min(wanted or len(view.auxiliary), len(view.auxiliary))
    # The basis exists twice while it is assembled.
    size, fitting = 8 * view.oracle.dimension * directions, view.memory_budget // (8 * view.oracle.dimension)
    if size > view.memory_budget:
        yield warning(
            "memory",
            f"Up to {directions:,} directions of {view.oracle.dimension:,} numbers may take {size / 2**30:,.1f} GiB. "
            f"Set --attack.components to {max(1, fitting):,} or less to stay within the memory budget.",
        )


def _check_space(view: AuditorView[Any], folder: Path) -> Finding:
    """Check that the answers fit into memory or on the disk."""
    size = 4 * view.oracle.dimension * len(view.auxiliary)
    if size <= view.memory_budget:
        return ok("memory", f"The answers take {size / 2**20:,.0f} MiB, within the memory budget.")
    existing = next(parent for parent in (folder, *folder.resolve().parents) if parent.is_dir())
    free = shutil.disk_usage(existing).free
    result = f"The answers take {size / 2**30:,.1f} GiB, which exceeds the memory budget, and are written to a file"
    if size > free:
        return error(
            "memory",
            f"{result}, but {existing} has only {free / 2**30:,.1f} GiB free. Lower --auxiliary-size.",
        )
    return ok("memory", f"{result}.")
