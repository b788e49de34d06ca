"""The artifacts of an attack by the auditor, loaded and checked against each other."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from palimpsest.artifacts.attestation import explain_numbering, require_same_numbering
from palimpsest.artifacts.config import ArtifactsConfig, CheckpointsConfig
from palimpsest.artifacts.images import LoadedSamples, draw, in_classes, load_for, numbered
from palimpsest.artifacts.models import Models, load_models
from palimpsest.artifacts.oracle import OracleSource, open_oracle
from palimpsest.attacks import AuditorView
from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.errors import ConfigurationError, DatasetError, ProofError
from palimpsest.gradients import parameter_count, trainable_parameters
from palimpsest.proofs import Proofs, load_proofs


@dataclass(frozen=True)
class AuditorArtifacts:
    """Everything that an attack by the auditor needs, and the truth, which the attack never receives.

    Args:
        proofs: The submitted proofs.
        models: The two models, or None if the user holds no checkpoints.
        auxiliary: The auditor's own samples, after `auxiliary_size` and the query budget were applied.
        truth: The forgotten samples, used only for scores, or None.
        oracle_source: The oracle that the auditor queries.
        class_names: Names of the classes in order; empty if unknown.
        notes: Deviations from the configuration, as sentences for the report.
    """

    proofs: Proofs
    models: Models | None
    auxiliary: SampleSet
    truth: SampleSet | None
    oracle_source: OracleSource
    class_names: tuple[str, ...]
    notes: tuple[str, ...]

    def view(self, *, device: str, memory_budget: int) -> AuditorView[SampleSet]:
        """Return the auditor's view, which does not contain the truth.

        Args:
            device: The device that the attack runs on.
            memory_budget: Bytes that the attack may hold.
        """
        budget = self.oracle_source.budget
        # The other half is for the oracle's chunks and for the copies that a fit makes.
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
    """Load the artifacts of an attack on proofs, and check that they are consistent.

    Args:
        config: The artifacts and the attack.
        folder: The run's folder, where an oracle's answers are cached.
        data_dir: A local mirror of the published data sets. If None, they come from the hub.
        device: The device of the models.

    Raises:
        PalimpsestError: An artifact is missing, damaged, or inconsistent with another; the message says which.
    """
    proofs = load_proofs(config.attacked_file)
    refuse_aggregated(proofs, config.attacked_file)
    loaded = load_for(config, config.auxiliary, split=config.auxiliary_split, data_dir=data_dir)
    models = models_of(config, loaded.samples, device=device)
    if models is not None:
        loaded = numbered(loaded, config.auxiliary, models.classes)
    samples = loaded.samples
    notes = [] if models is None else list(models.notes)
    difference = explain_numbering(proofs, loaded.numbering)
    if difference is not None:
        notes.append(difference)
    if models is not None and not config.defenses:
        proofs, cut = _without_frozen(proofs, models.original)
        notes += cut
    oracle_source = open_oracle(
        config.oracle,
        models=models,
        auxiliary=samples,
        dimension=proofs.vectors.shape[1] if models is None else parameter_count(models.original),
        folder=folder / "oracle",
        memory_budget=config.memory_budget // 4,
    )
    if not config.defenses and oracle_source.oracle.dimension != proofs.vectors.shape[1]:
        raise ProofError(
            f"{config.attacked_file} holds proofs of {proofs.vectors.shape[1]:,} numbers, but answers from "
            f"{oracle_source.source} have {oracle_source.oracle.dimension:,}. Pass the model that the proofs were made "
            "from, or list the proofs' defenses in --defenses."
        )
    classes = oracle_source.classes or (models.classes if models else samples.classes)
    auxiliary = draw(in_classes(samples, classes), config.auxiliary_size, seed=config.seed)
    if oracle_source.budget is not None and oracle_source.budget < len(auxiliary):
        notes.append(
            f"Only {oracle_source.budget:,} of the {len(auxiliary):,} auxiliary samples were used, because the query "
            f"budget is {oracle_source.budget:,} samples."
        )
        auxiliary = draw(auxiliary, oracle_source.budget, seed=config.seed)
    return AuditorArtifacts(
        proofs,
        models,
        auxiliary,
        truth_of(config, replace(loaded, samples=auxiliary), proofs, data_dir=data_dir),
        oracle_source,
        loaded.names,
        tuple(notes),
    )


def refuse_aggregated(proofs: Proofs, path: Path) -> None:
    """Refuse proofs that are means over groups of samples, which only an audit can attack.

    Args:
        proofs: The submitted proofs.
        path: Their file, for the message.

    Raises:
        ProofError: The metadata states a granularity other than `sample`.
    """
    granularity = proofs.metadata.get("granularity", "sample")
    if granularity != "sample":
        raise ProofError(
            f"{path} holds aggregated proofs (granularity {granularity[:40]!r}), each the mean over a group of "
            "samples. Such files can be verified, but not attacked: run palimpsest audit with proofs.granularity."
        )


def _without_frozen(proofs: Proofs, model: nn.Module) -> tuple[Proofs, list[str]]:
    """Cut the frozen parameters off proofs that have a number for every parameter.

    Args:
        proofs: The submitted proofs, without defenses.
        model: The model, whose frozen parameters no client trains.

    Returns:
        The proofs of the trainable parameters, and a note if anything was cut off.
    """
    trained, parameters = trainable_parameters(model), dict(model.named_parameters())
    sizes = [parameter.numel() for parameter in parameters.values()]
    if len(trained) == len(parameters) or proofs.vectors.shape[1] != sum(sizes):
        return proofs, []
    blocks = dict(zip(parameters, proofs.vectors.split(sizes, dim=1), strict=True))
    vectors = torch.cat([blocks[name] for name in trained], dim=1)
    note = (
        f"The proofs have a number for every parameter. Those of the {sum(sizes) - vectors.shape[1]:,} "
        f"frozen parameters "
        "were cut off, since clients do not train them."
    )
    return Proofs(vectors, proofs.metadata), [note]


def models_of(config: CheckpointsConfig, samples: SampleSet, *, device: str) -> Models | None:
    """Load the two models that a configuration names.

    Args:
        config: The checkpoints and their network.
        samples: Samples in the models' input shape.
        device: The device of the models.

    Returns:
        The models, or None if the configuration names neither checkpoints nor a network.

    Raises:
        ConfigurationError: Only one or two of `original`, `unlearned` and `model` are given, or `mean` is given for
            samples that are not images.
    """
    wanted = {"original": config.original, "unlearned": config.unlearned, "model": config.model}
    missing = [name for name, value in wanted.items() if value is None]
    if len(missing) == len(wanted):
        return None
    if config.model is None or config.original is None or config.unlearned is None:
        raise ConfigurationError(
            f"--{missing[0]} is missing: give --original, --unlearned and --model together."
        )
    if config.mean is not None and not isinstance(samples, ImageSet):
        raise ConfigurationError(
            f"mean and std apply to the channels of images, but {samples.name} holds {samples.kind}. Leave them out, "
            "and write the values into the file as the network expects them."
        )
    return load_models(
        config.model,
        config.model_arguments,
        original=config.original,
        unlearned=config.unlearned,
        samples=samples.inputs,
        classes=samples.classes,
        trainable=config.trainable,
        mean=config.mean,
        std=config.std,
        device=device,
    )


def truth_of(
    config: ArtifactsConfig,
    auxiliary: LoadedSamples,
    proofs: Proofs,
    *,
    data_dir: Path | None,
) -> SampleSet | None:
    """Load the forgotten samples.

    Args:
        config: The artifacts.
        auxiliary: The auxiliary samples, whose kind, shape, classes and numbering the truth must have.
        proofs: The submitted proofs.
        data_dir: A local mirror of the published data sets. If None, they come from the hub.

    Returns:
        The forgotten samples in the order of the proofs, or None if the user did not supply them.

    Raises:
        DatasetError: Their number differs from that of the proofs, their kind or shape from the auxiliary samples', or
            their classes are numbered in another way than the proofs record.
    """
    if config.truth is None:
        return None
    loaded = load_for(
        config, config.truth, split=config.truth_split, numbering=auxiliary.numbering, data_dir=data_dir
    )
    truth, like, count = loaded.samples, auxiliary.samples, len(proofs.vectors)
    if len(truth) != count or truth.shape != like.shape or type(truth) is not type(like):
        raise DatasetError(
            f"{config.truth} holds {len(truth):,} {truth.kind} of shape {list(truth.shape)}, but there are {count:,} "
            f"proofs and auxiliary {like.kind} of shape {list(like.shape)}. Give one sample for each proof, "
            "in the order of the proofs and in the shape of the auxiliary samples."
        )
    loaded = numbered(loaded, config.truth, like.classes)
    require_same_numbering(proofs, loaded.numbering, config.truth)
    return loaded.samples
