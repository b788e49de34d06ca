"""Does the oracle answer, what will be asked of it, and what will that take?"""

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
from palimpsest.oracles import ModelOracle, RecordedOracle, ShardedOracle

_ASKED = 4
_SAME = 1e-2
_FEW = 200


def check_answers(
    oracle_source: OracleSource, models: Models | None, auxiliary: SampleSet
) -> Iterator[Finding]:
    """A few questions: does it answer, how fast, and as the checkpoints would?

    Args:
        oracle_source: Who answers.
        models: The two models, where they are held.
        auxiliary: The auditor's own images.
    """
    few = auxiliary.subset(torch.arange(min(_ASKED, len(auxiliary))))
    first = ask(oracle_source, few.subset(torch.arange(1)))
    # The first question of all sets things up, so that it tells little of the others.
    start = time.perf_counter()
    answers = torch.cat([first, ask(oracle_source, few.subset(torch.arange(1, len(few))))])
    seconds = (time.perf_counter() - start) / max(1, len(few) - 1)
    zeros = int((answers.norm(dim=1) == 0).sum())
    yield ok("oracle", f"It answers from {oracle_source.source}, in {seconds:.2g} s a sample.")
    if zeros:
        yield warning("oracle", f"{zeros} of {len(few)} answers are zero.")
    yield from _asked_twice(oracle_source, few, answers)
    if models is None or isinstance(oracle_source.oracle, (ModelOracle, ShardedOracle)):
        return
    ours = gradient_differences(models.original, models.unlearned, few.inputs, few.labels).cpu()
    off = distance(answers, ours)
    if off <= _SAME:
        yield ok(
            "oracle", f"Its answers are the checkpoints' gradient differences (relative distance {off:.1e})."
        )
    else:
        yield error(
            "oracle",
            f"Its answers are not the checkpoints' gradient differences (relative distance {off:.2g}): check the order "
            "of its rows, its models, and its loss.",
        )


def _asked_twice(oracle_source: OracleSource, few: SampleSet, answers: Tensor) -> Iterator[Finding]:
    """The same questions in reverse order: an answer that depends on more than its sample teaches an attack nothing."""
    oracle = oracle_source.oracle
    if not isinstance(oracle, RecordedOracle) or len(few) > oracle.batch_size:
        return
    again = oracle.ask_anew(few.inputs.flip(0), few.labels.flip(0)).flip(0)
    off = distance(again, answers)
    if off > _SAME:
        yield error(
            "oracle",
            f"It answers the same questions in two ways (relative distance {off:.2g}): its answers depend on their "
            "order or on chance, or it lies.",
        )


def check_plan(config: ArtifactsConfig, view: AuditorView[Any], folder: Path) -> Iterator[Finding]:
    """How much the attack will ask, and the room that the answers take.

    Args:
        config: The case.
        view: What the auditor holds.
        folder: Where the run would stand.
    """
    attack = config.attack.build()
    if isinstance(attack, LearnedInversion):
        yield from _lessons(len(view.auxiliary), view.auxiliary.kind)
        asked = len(view.auxiliary) * attack.affordable(view)
        probes = attack.probes(view)
        asked += probes if view.affords(probes) else 0
        wanted = len(view.auxiliary) * attack.queries + probes
        told = f"The attack asks about at most {asked:,} samples"
        if view.remaining_queries is None:
            yield ok("queries", f"{told}.")
        elif asked < wanted:
            yield warning(
                "queries",
                f"{told} of the {wanted:,} that it would ask without a limit: expect less of it.",
            )
        else:
            yield ok(
                "queries", f"{told}, within the limit of {view.remaining_queries + len(view.auxiliary):,}."
            )
    yield _room(view, folder)
    yield from _basis(attack, view)
    if isinstance(attack, LearnedInversion) and attack.beta > 0:
        load_vgg_features(attack.vgg_weights)


def _lessons(count: int, kind: str) -> Iterator[Finding]:
    """What an attack can learn from so many samples."""
    if count < 2:
        yield error("auxiliary", f"The attack learns from auxiliary {kind}, and there is one: give many.")
    elif count < _FEW:
        yield warning(
            "auxiliary",
            f"The attack learns from auxiliary {kind}, and {count} are few: the paper takes 8,000.",
        )


def _basis(attack: Attack, view: AuditorView[Any]) -> Iterator[Finding]:
    """The room that a projection's basis takes: a direction is as long as a proof."""
    settings = attack.model_dump()
    if "components" not in settings or settings.get("reduction", "svd") != "svd":
        return
    wanted = settings["components"]
    directions = min(wanted or len(view.auxiliary), len(view.auxiliary))
    # While it is put together there are two of it.
    size, fitting = 8 * view.oracle.dimension * directions, view.memory_budget // (8 * view.oracle.dimension)
    if size > view.memory_budget:
        yield warning(
            "memory",
            f"Up to {directions:,} directions of {view.oracle.dimension:,} numbers may take {size / 2**30:,.1f} GiB: "
            f"set --attack.components to {max(1, fitting):,} or less to stay within the memory budget.",
        )


def _room(view: AuditorView[Any], folder: Path) -> Finding:
    size = 4 * view.oracle.dimension * len(view.auxiliary)
    if size <= view.memory_budget:
        return ok("memory", f"The answers take {size / 2**20:,.0f} MiB, within the memory budget.")
    place = next(parent for parent in (folder, *folder.resolve().parents) if parent.is_dir())
    free = shutil.disk_usage(place).free
    told = f"The answers take {size / 2**30:,.1f} GiB, more than the memory budget, and go to a file"
    if size > free:
        return error(
            "memory", f"{told}, for which {place} has {free / 2**30:,.1f} GiB: lower auxiliary_size."
        )
    return ok("memory", f"{told}.")


def ask(oracle_source: OracleSource, samples: SampleSet) -> Tensor:
    """The oracle's gradient differences of a few samples, `[n, d]`."""
    none = torch.empty(0, oracle_source.oracle.dimension)
    return torch.cat(
        [none, *(chunk.cpu() for chunk in oracle_source.oracle.differences(samples.inputs, samples.labels))]
    )
