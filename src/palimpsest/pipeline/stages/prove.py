"""Making proofs of unlearning: as a stage of an audit, or from two checkpoints and samples."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from palimpsest.artifacts.auditor import models_of
from palimpsest.artifacts.config import ProveConfig
from palimpsest.artifacts.images import load_for, numbered
from palimpsest.config import Granularity
from palimpsest.datasets import ImageSet
from palimpsest.errors import CheckpointError, ConfigurationError, ResourceError
from palimpsest.gradients import parameter_count
from palimpsest.models import bare
from palimpsest.pipeline.stages.defend import defend_proofs
from palimpsest.progress import warn
from palimpsest.proofs import Groups, Proofs, prove, prove_groups
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
    groups: Groups | None = None,
    granularity: Granularity = "sample",
) -> Proofs:
    """Run the stage `proofs`: make the clients' proofs before any defense.

    Args:
        run: The run that stores the stage.
        original: The model before unlearning.
        unlearned: The model after unlearning.
        forgotten: The forgotten samples.
        memory_budget: Memory for the computation, in bytes.
        key: Everything that the models depend on.
        groups: The groups of samples that share a proof; None if each sample has a proof of its own.
        granularity: Samples behind a proof, for the metadata of aggregated proofs.

    Returns:
        The proofs, in the order of the samples or of the groups.
    """
    if groups is not None:
        return run.stage(
            "proofs",
            Proofs,
            lambda _: prove_groups(
                original, unlearned, forgotten, groups, granularity=granularity, memory_budget=memory_budget
            ),
            key=(*key, forgotten, groups, granularity),
        )
    return run.stage(
        "proofs",
        Proofs,
        lambda _: prove(original, unlearned, forgotten, memory_budget=memory_budget),
        key=(*key, forgotten),
    )


def make_proofs(config: ProveConfig, *, data_dir: Path | None = None) -> Proofs:
    """Make a proof for each sample, and defend the proofs.

    Args:
        config: The models, the samples and the defenses.
        data_dir: A folder that mirrors the published data sets.

    Returns:
        The proofs, in the order of the samples.

    Raises:
        PalimpsestError: An artifact is missing or inconsistent with another, or the proofs exceed the memory budget.
    """
    loaded = load_for(config, config.samples, split=config.samples_split, data_dir=data_dir)
    models = models_of(config, loaded.samples, device=pick_device(config.device))
    if models is None:
        raise ConfigurationError("The models are missing. Set original, unlearned and model.")
    samples = numbered(loaded, config.samples, models.classes).samples
    for note in models.notes:
        warn(note)
    # Hash the bare checkpoints: the normalization layer around them is not part of the models.
    original, unlearned = (
        parameters_hash(bare(model).state_dict()) for model in (models.original, models.unlearned)
    )
    if original == unlearned:
        raise CheckpointError(
            f"{config.original} and {config.unlearned} hold the same parameters, so every proof would be zero. Supply "
            "the model before unlearning and the one after it."
        )
    needed = 4 * len(samples) * parameter_count(models.original)
    if needed > config.memory_budget:
        raise ResourceError(
            f"{len(samples):,} proofs need {needed:,} bytes, but the memory budget is {config.memory_budget:,}. Prove "
            "fewer samples at a time, or raise memory_budget."
        )
    proofs = prove(
        models.original,
        models.unlearned,
        samples,
        memory_budget=config.memory_budget,
    )
    claims = {"original": original, "unlearned": unlearned}
    if isinstance(samples, ImageSet) and samples.reading is not None:
        claims["image_reading"] = samples.reading.to_json()
    if loaded.numbering is not None:
        claims |= loaded.numbering.to_metadata()
    attested = replace(proofs, metadata=proofs.metadata | claims)
    return defend_proofs(attested, config) if config.defenses else attested
