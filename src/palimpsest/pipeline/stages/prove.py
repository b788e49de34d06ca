"""Proofs of unlearning: of an audit's clients, or from two checkpoints and a list of samples."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from palimpsest.artifacts.auditor import models_of
from palimpsest.artifacts.config import ProveConfig
from palimpsest.artifacts.images import in_classes, load_for
from palimpsest.datasets import ImageSet
from palimpsest.errors import CheckpointError, ConfigurationError, ResourceError
from palimpsest.gradients import parameter_count
from palimpsest.models import bare
from palimpsest.pipeline.stages.defend import defend_proofs
from palimpsest.proofs import Proofs, prove
from palimpsest.runs import Run
from palimpsest.storage import parameters_hash
from palimpsest.system.device import pick_device


def prove_stage(
    run: Run,
    original: nn.Module,
    unlearned: nn.Module,
    forgotten: ImageSet,
    *,
    memory_budget: int,
    key: Sequence[object],
) -> Proofs:
    """The stage `proofs`: the clients' proofs before any defense.

    Args:
        run: Where the stage is kept.
        original: The model before unlearning.
        unlearned: The model after unlearning.
        forgotten: The forgotten samples.
        memory_budget: Bytes that the work may take.
        key: What the models depend on.
    """
    return run.stage(
        "proofs",
        Proofs,
        lambda _: prove(original, unlearned, forgotten, memory_budget=memory_budget),
        key=(*key, forgotten),
    )


def make_proofs(config: ProveConfig, *, data_dir: Path | None = None) -> Proofs:
    """Make the proof of each sample, and defend it.

    Args:
        config: The models, the samples and the defenses.
        data_dir: A mirror of the published sets.

    Returns:
        Proofs in the order of the samples.

    Raises:
        PalimpsestError: A piece is missing or does not fit another, or the proofs don't fit the memory budget.
    """
    samples = load_for(config, config.samples, split=config.samples_split, data_dir=data_dir).samples
    models = models_of(config, samples, device=pick_device(config.device))
    if models is None:
        raise ConfigurationError("No models are given: name original, unlearned and model.")
    # The checkpoints' own names: what normalizes images is no part of them.
    original, unlearned = (
        parameters_hash(bare(one).state_dict()) for one in (models.original, models.unlearned)
    )
    if original == unlearned:
        raise CheckpointError(
            f"{config.original} and {config.unlearned} hold the same numbers, so that every proof would be zero: give "
            "the model before unlearning and the one after it."
        )
    needed = 4 * len(samples) * parameter_count(models.original)
    if needed > config.memory_budget:
        raise ResourceError(
            f"{len(samples):,} proofs need {needed:,} bytes, the memory budget is {config.memory_budget:,}: prove "
            "fewer samples at a time, or raise memory_budget."
        )
    proofs = prove(
        models.original,
        models.unlearned,
        in_classes(samples, models.classes),
        memory_budget=config.memory_budget,
    )
    named = replace(proofs, metadata=proofs.metadata | {"original": original, "unlearned": unlearned})
    return defend_proofs(named, config) if config.defenses else named
