"""Conversion of an outcome to the contents of the report page."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from torch import Tensor

from palimpsest.artifacts import ArtifactsConfig, AuditorArtifacts, ServerArtifacts
from palimpsest.attacks import Attack, Knowledge, MatchingAttack, ServerAttack, Strongest
from palimpsest.config import AuditConfig
from palimpsest.datasets import ImageSet
from palimpsest.defenses import published_noise
from palimpsest.metrics import Metrics, SampleScores, Scores
from palimpsest.pipeline.results.membership import membership_curves
from palimpsest.pipeline.results.notes import outcome_notes
from palimpsest.pipeline.results.outcome import Federated, Outcome
from palimpsest.pipeline.results.overlap import measured_knowledge
from palimpsest.pipeline.results.reconstruction_table import SampleTable
from palimpsest.report import ReportInput, order, sorting_score
from palimpsest.runs import Manifest
from palimpsest.storage import file_hash

MOST_SAMPLES = 200
"""The largest number of reconstructions, other than images, on the page. The run folder holds all of them."""


def build_page(
    outcome: Outcome, metrics: Metrics, *, manifest: Manifest, command: str, table: SampleTable | None = None
) -> ReportInput:
    """Collect everything that the page of an audit or an attack shows.

    Args:
        outcome: The results of all stages.
        metrics: The metrics built from them.
        manifest: The run's manifest.
        command: The shell command that reproduces the run; empty for a call from Python.
        table: Formats samples other than images as text; None if the samples are images.
    """
    config, scored, source = outcome.config, outcome.scored, outcome.source
    attack = outcome.reported_attack.build()
    audit = isinstance(source, Federated)
    now = datetime.now(UTC)
    return ReportInput(
        title=_title(config),
        command=command or f"palimpsest {'audit' if audit else 'attack'} config.yaml",
        facts=_facts(outcome),
        config=config.model_dump(mode="json"),
        config_yaml=config.to_yaml(),
        versions=manifest["versions"],
        metrics=metrics,
        reconstructions=scored.reconstruction.images,
        history=scored.reconstruction.history,
        knowledge=measured_knowledge(_knowledge(attack, outcome), metrics.auxiliary_overlap),
        notes=outcome_notes(outcome, metrics),
        accepted=_by_sample(outcome, outcome.verdicts and outcome.verdicts.accepted),
        norms=_by_sample(outcome, outcome.verdicts and outcome.verdicts.norms),
        owners=source.unlearned.owner if isinstance(source, Federated) else None,
        class_names=source.federation.data.class_names
        if isinstance(source, Federated)
        else source.class_names,
        evidence="gradients" if isinstance(attack, ServerAttack) else "proofs",
        finished=f"{now.day} {now:%B %Y, %H:%M} UTC",
        hashes=_hashes(outcome, manifest),
        membership_curves=membership_curves(source.membership)
        if isinstance(source, Federated) and source.membership
        else {},
        **_samples(outcome, table),
    )


def _knowledge(attack: Attack | ServerAttack | Strongest, outcome: Outcome) -> frozenset[Knowledge]:
    """The attack's knowledge; settings of a noise, and images to weigh against it, only if there is noise."""
    noise = published_noise([defense.build() for defense in outcome.config.defenses])
    if isinstance(attack, MatchingAttack) and noise is None:
        attack = attack.model_copy(update={"noise": "ignored"})
    return attack.knowledge


def _by_sample(outcome: Outcome, values: Tensor | None) -> Tensor | None:
    """Return a value of each proof for each reconstruction: the samples of a group share its proof."""
    if values is None or outcome.aggregation is None:
        return values
    return values[outcome.aggregation.groups.group]


def _samples(outcome: Outcome, table: SampleTable | None) -> Mapping[str, Any]:
    """The forgotten samples next to their reconstructions: images with scores, or text."""
    forgotten, scored = outcome.forgotten, outcome.scored
    if table is not None:
        return _texts(outcome, table)
    if not isinstance(forgotten, ImageSet) or not isinstance(scored.scores, Scores):
        return {}
    return {
        "originals": forgotten.images,
        "labels": forgotten.labels,
        "per_image": scored.scores.per_image(),
        "absent": scored.scores.absent(),
    }


def _texts(outcome: Outcome, table: SampleTable) -> Mapping[str, Any]:
    """Samples other than images as text, the most exposed first if they are scored."""
    forgotten, scored = outcome.forgotten, outcome.scored
    per_sample = scored.scores.per_sample if isinstance(scored.scores, SampleScores) else {}
    reconstructions = scored.reconstruction.images
    rows = list(range(len(reconstructions)))
    if per_sample:
        name = sorting_score(per_sample)
        rows = order(name, per_sample[name])
    rows = rows[:MOST_SAMPLES]
    return {
        "kind": outcome.auxiliary.kind,
        "columns": table.header,
        "cells": table.cells(reconstructions[rows]),
        "truth_cells": [] if forgotten is None else table.cells(forgotten.inputs[rows]),
        "cell_rows": rows,
        "labels": None if forgotten is None else forgotten.labels,
        "per_image": per_sample,
    }


def _hashes(outcome: Outcome, manifest: Manifest) -> list[tuple[str, str]]:
    """Names and SHA-256 hashes of the configuration, the data, the checkpoints and the attacked file.

    The forgotten samples have no hash, because it would confirm to anyone who has them that they were forgotten.
    """
    config, source = outcome.config, outcome.source
    hashes = [("configuration", sha256(config.to_yaml().encode()).hexdigest())]
    if isinstance(source, Federated):
        hashes.append(("training data", source.federation.data.train.fingerprint))
    hashes.append(("auxiliary data", outcome.auxiliary.fingerprint))
    if isinstance(config, ArtifactsConfig):
        files = {
            "original checkpoint": config.original,
            "unlearned checkpoint": config.unlearned,
            "proofs" if config.proofs else "gradients": config.attacked_file,
        }
        return hashes + [(name, file_hash(path)) for name, path in files.items() if path and path.is_file()]
    stages = {"original": "original model", "unlearned": "unlearned model", "proofs": "proofs"}
    return hashes + [
        (name, manifest["stages"][stage]["sha256"])
        for stage, name in stages.items()
        if stage in manifest["stages"]
    ]


def _title(config: AuditConfig | ArtifactsConfig) -> str:
    if isinstance(config, ArtifactsConfig):
        return f"{config.attack.name} attack on {config.attacked_file.name}"
    unlearning = f"{config.unlearning.scenario}-level unlearning ({config.unlearning.method})"
    return f"{config.attack.name} attack on {config.data.name.rstrip('/')}: {unlearning}"


def _facts(outcome: Outcome) -> list[tuple[str, str]]:
    """Names and values that describe the audit or attack."""
    config, source = outcome.config, outcome.source
    defenses = ", ".join(defense.name for defense in config.defenses) or "none"
    name, reported = config.attack.name, outcome.reported_attack.name
    attack = name if name == reported else f"{name}, which reports {reported}"
    last = [("Attack", attack), ("Seed", str(config.seed))]
    if isinstance(config, AuditConfig):
        assert isinstance(source, Federated), "an audit trains a federation"
        unlearning = f"{config.unlearning.scenario} level, {config.unlearning.method}"
        owners = source.unlearned.owner.unique().numel()
        forgotten = (
            f"{len(source.unlearned.forgotten):,} of {len(source.federation.data.train):,} training samples, held by "
            f"{owners:,} of {len(source.federation.data.clients):,} clients"
        )
        first = [
            ("Data", config.data.name),
            ("Model", config.model.name),
            ("Unlearning", unlearning),
            ("Forgotten", forgotten),
        ]
        return [*first, ("Defense", defenses), *last]
    model = ("Model", config.model or "not available")
    if isinstance(source, ServerArtifacts):
        observation = source.observed.observation
        batches, dimension = observation.gradients_before.shape
        sizes = f"{observation.retained} retained and {observation.forgotten} forgotten samples"
        labels = getattr(outcome.reported_attack.build(), "labels", "determined by the attack")
        return [
            ("Gradients", f"{batches:,} batches of {dimension:,} values each"),
            ("Batch", sizes),
            model,
            ("Public images", f"{len(source.public):,}"),
            ("Forgotten", _supplied(outcome)),
            ("Labels", str(labels)),
            *last,
        ]
    assert isinstance(source, AuditorArtifacts), "the source is one of three kinds"
    count, dimension = source.proofs.vectors.shape
    return [
        ("Proofs", f"{count:,} with {dimension:,} values each"),
        model,
        ("Oracle", source.oracle_source.source),
        ("Auxiliary samples", f"{len(source.auxiliary):,}"),
        ("Forgotten", _supplied(outcome)),
        ("Defense", defenses),
        *last,
    ]


def _supplied(outcome: Outcome) -> str:
    """The number of forgotten samples that the user supplied for the scores."""
    forgotten = outcome.forgotten
    return (
        "samples not supplied"
        if forgotten is None
        else f"{len(forgotten):,} samples, supplied for the scores"
    )
