"""The pieces of a case, read and fitted to each other."""

from dataclasses import dataclass
from pathlib import Path

from palimpsest.artifacts.config import ArtifactsConfig, OwnModels
from palimpsest.artifacts.images import draw, in_classes, load_for
from palimpsest.artifacts.models import Models, load_models
from palimpsest.artifacts.oracle import OracleSource, open_oracle
from palimpsest.attacks import AuditorView
from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.errors import ConfigurationError, DatasetError, ProofError
from palimpsest.gradients import parameter_count
from palimpsest.proofs import Proofs, load_proofs


@dataclass(frozen=True)
class AuditorArtifacts:
    """All that an attack on a case needs, and the truth, which it does not get.

    Args:
        proofs: As they were handed in.
        models: The two models, where they are held.
        auxiliary: The auditor's own samples that are used.
        truth: The forgotten samples, for scores, or none.
        oracle_source: Who answers the auditor's questions.
        class_names: Names of the classes, where folders tell them.
        notes: What differs from what was asked for, in sentences for the report.
    """

    proofs: Proofs
    models: Models | None
    auxiliary: SampleSet
    truth: SampleSet | None
    oracle_source: OracleSource
    class_names: tuple[str, ...]
    notes: tuple[str, ...]

    def view(self, *, device: str, memory_budget: int) -> AuditorView[SampleSet]:
        """What the auditor holds; the truth is not in it.

        Args:
            device: Where the attack computes.
            memory_budget: Bytes that it may hold.
        """
        budget = self.oracle_source.budget
        # The oracle's chunks, and what a fit copies, are held beside the answers.
        return AuditorView(
            self.proofs.vectors,
            self.oracle_source.oracle,
            self.auxiliary,
            device,
            memory_budget // 2,
            remaining_queries=None if budget is None else budget - len(self.auxiliary),
        )


def load_auditor_artifacts(
    config: ArtifactsConfig, *, folder: Path, data_dir: Path | None, device: str
) -> AuditorArtifacts:
    """Read everything that a case names, and refuse what does not fit together.

    Args:
        config: The case.
        folder: The run's folder, where an oracle's answers are kept.
        data_dir: A mirror of the published sets.
        device: Where the models compute.

    Raises:
        PalimpsestError: A piece is missing, damaged, or does not fit another; the message says which.
    """
    proofs = load_proofs(config.brought)
    brought = load_for(config, config.auxiliary, split=config.auxiliary_split, data_dir=data_dir)
    everything = brought.samples
    models = models_of(config, everything, device=device)
    oracle_source = open_oracle(
        config.oracle,
        models=models,
        auxiliary=everything if models is None else in_classes(everything, models.classes),
        dimension=proofs.vectors.shape[1] if models is None else parameter_count(models.original),
        folder=folder / "oracle",
        memory_budget=config.memory_budget // 4,
    )
    if not config.defenses and oracle_source.oracle.dimension != proofs.vectors.shape[1]:
        raise ProofError(
            f"{config.brought} holds proofs of {proofs.vectors.shape[1]:,} numbers, and answers from "
            f"{oracle_source.source} have {oracle_source.oracle.dimension:,}: give the model that the proofs were made "
            "with, or name what defended them in defenses."
        )
    classes = oracle_source.classes or (models.classes if models else everything.classes)
    notes = []
    auxiliary = draw(in_classes(everything, classes), config.auxiliary_size, seed=config.seed)
    if oracle_source.budget is not None and oracle_source.budget < len(auxiliary):
        notes.append(
            f"The query budget of {oracle_source.budget:,} samples allows {oracle_source.budget:,} of the "
            f"{len(auxiliary):,} auxiliary samples."
        )
        auxiliary = draw(auxiliary, oracle_source.budget, seed=config.seed)
    return AuditorArtifacts(
        proofs,
        models,
        auxiliary,
        truth_of(config, auxiliary, len(proofs.vectors), names=brought.names, data_dir=data_dir),
        oracle_source,
        brought.names,
        tuple(notes),
    )


def models_of(config: OwnModels, samples: SampleSet, *, device: str) -> Models | None:
    """The two models that were brought, or none where none were.

    Args:
        config: What names them.
        samples: Such as they take.
        device: Where they compute.

    Raises:
        ConfigurationError: Some of what names them is missing, or the samples have no channels to normalize.
    """
    wanted = {"original": config.original, "unlearned": config.unlearned, "model": config.model}
    missing = [name for name, value in wanted.items() if value is None]
    if len(missing) == len(wanted):
        return None
    if config.model is None or config.original is None or config.unlearned is None:
        raise ConfigurationError(f"{missing[0]} is missing: original, unlearned and model belong together.")
    if config.mean is not None and not isinstance(samples, ImageSet):
        raise ConfigurationError(
            f"mean and std are for the channels of images, and {samples.name} holds {samples.kind}: write the values "
            "as the network takes them."
        )
    return load_models(
        config.model,
        config.model_arguments,
        original=config.original,
        unlearned=config.unlearned,
        shape=samples.shape,
        classes=samples.classes,
        dtype=samples.inputs.dtype,
        mean=config.mean,
        std=config.std,
        device=device,
    )


def truth_of(
    config: ArtifactsConfig,
    auxiliary: SampleSet,
    count: int,
    *,
    names: tuple[str, ...],
    data_dir: Path | None,
) -> SampleSet | None:
    """The forgotten samples of a case, or none where nobody brought them.

    Raises:
        DatasetError: They are not as many as the proofs, or of another kind or shape than the auxiliary samples.
    """
    if config.truth is None:
        return None
    truth = load_for(config, config.truth, split=config.truth_split, names=names, data_dir=data_dir).samples
    if len(truth) != count or truth.shape != auxiliary.shape or type(truth) is not type(auxiliary):
        raise DatasetError(
            f"{config.truth} holds {len(truth):,} {truth.kind} of {list(truth.shape)}, and there are {count:,} proofs "
            f"and auxiliary {auxiliary.kind} of {list(auxiliary.shape)}: give one sample for each proof, in their "
            "order and of one shape."
        )
    return in_classes(truth, auxiliary.classes)
