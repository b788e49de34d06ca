"""Proofs from two checkpoints and a list of samples."""

from pathlib import Path

from palimpsest.audit import pick_device
from palimpsest.case.config import ProveConfig
from palimpsest.case.images import in_classes, load_brought
from palimpsest.case.pieces import models_of
from palimpsest.errors import ConfigurationError, ResourceError
from palimpsest.federation_side import defend_proofs
from palimpsest.gradients import parameter_count
from palimpsest.proofs import Proofs, prove


def make_proofs(config: ProveConfig, *, data_dir: Path | None = None) -> Proofs:
    """Make the proof of each sample, and defend it.

    Args:
        config: The models, the samples and the defences.
        data_dir: A mirror of the published sets.

    Returns:
        Proofs in the order of the samples.

    Raises:
        PalimpsestError: A piece is missing or does not fit another, or the proofs don't fit the memory budget.
    """
    samples = load_brought(
        config.samples,
        split=config.samples_split,
        image_size=config.image_size,
        names=config.class_names or (),
        data_dir=data_dir,
    ).images
    models = models_of(config, samples, device=pick_device(config.device))
    if models is None:
        raise ConfigurationError("No models are given: name original, unlearned and model.")
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
    return defend_proofs(proofs, config) if config.defenses else proofs
