"""The page of a case."""

from typing import Any

from palimpsest.artifacts.attestation import doubts
from palimpsest.artifacts.config import CaseConfig
from palimpsest.attacks import spelled_out
from palimpsest.datasets import ImageSet
from palimpsest.metrics import Scores
from palimpsest.pipeline.results.attack_outcome import CaseResults, summary
from palimpsest.pipeline.results.rates import belonging_notes
from palimpsest.pipeline.results.reconstruction_table import cells, header, read_vocabulary
from palimpsest.report import MOST_SAMPLES, Page, ReportInput, SamplesInput, UnscoredInput
from palimpsest.runs import Manifest


def case_page(
    config: CaseConfig,
    results: CaseResults,
    metrics: dict[str, Any],
    *,
    manifest: Manifest,
    command: str,
) -> Page:
    """What the page shows of an attack on a case: with scores where the truth is there, without where it is not.

    Args:
        config: The case.
        results: What its stages made.
        metrics: As they are in `metrics.json`.
        manifest: The run's.
        command: The shell command that makes the attack again.
    """
    attack = config.attack.components["name"]
    common: dict[str, Any] = {
        "title": f"{config.attack.name} against {config.brought.name}",
        "command": command or "palimpsest attack config.yaml",
        "facts": _facts(config, results),
        "config": config.model_dump(mode="json"),
        "config_yaml": config.to_yaml(),
        "versions": manifest["versions"],
        "seconds": metrics["seconds"],
        "reconstructions": results.audited.reconstruction.images,
        "accepted": results.verdicts.accepted,
        "norms": results.verdicts.norms,
        "curves": results.audited.reconstruction.history,
        "knowledge": spelled_out(attack.knowledge),
        "notes": [*results.pieces.notes, *_notes(config, results), *belonging_notes(results.belonging)],
    }
    truth = results.pieces.truth
    if not isinstance(results.pieces.auxiliary, ImageSet):
        return _page_of_samples(config, results, metrics, common)
    if truth is None or not isinstance(truth, ImageSet):
        return UnscoredInput(**common, tau=results.verdicts.tau)
    scores = results.scores["scores"]
    assert isinstance(scores, Scores), "images have scores of images"
    return ReportInput(
        **common,
        metrics=metrics,
        originals=truth.images,
        labels=truth.labels,
        per_image=scores.per_image(),
        participation=(),
        class_names=results.pieces.class_names,
        absent=scores.absent(),
    )


def _page_of_samples(
    config: CaseConfig, results: CaseResults, metrics: dict[str, Any], common: dict[str, Any]
) -> SamplesInput:
    auxiliary, truth = results.pieces.auxiliary, results.pieces.truth
    words = read_vocabulary(config.vocabulary)
    shown = results.audited.reconstruction.images[:MOST_SAMPLES]
    return SamplesInput(
        **common,
        tau=results.verdicts.tau,
        kind=auxiliary.kind,
        findings=summary(results, metrics).splitlines(),
        columns=header(auxiliary, words),
        cells=cells(auxiliary, shown, words),
        truth=[] if truth is None else cells(auxiliary, truth.inputs[:MOST_SAMPLES], words),
        metrics=metrics,
    )


def _facts(config: CaseConfig, results: CaseResults) -> list[tuple[str, str]]:
    count, dimension = results.pieces.proofs.vectors.shape
    return [
        ("Proofs", f"{count:,} of {dimension:,} numbers"),
        ("Model", config.model or "not held"),
        ("Oracle", results.pieces.answering.source),
        ("Auxiliary samples", f"{len(results.pieces.auxiliary):,}"),
        ("Defence", ", ".join(defense.name for defense in config.defenses) or "none"),
        ("Attack", config.attack.name),
        ("Seed", str(config.seed)),
    ]


def _notes(config: CaseConfig, results: CaseResults) -> list[str]:
    notes = [
        *doubts(results.pieces.proofs, results.pieces.models),
        "The verifier's tau was calibrated on the auxiliary samples, which this run takes to be samples that were "
        "never trained on.",
    ]
    if not results.pieces.proofs.attested:
        notes.append("The proof file says nothing of how the proofs were made: it is unattested.")
    if results.scores and results.confirmed is None:
        notes.append(
            "Whether an auditor could confirm candidates was not tried: it would ask the oracle about the forgotten "
            "samples themselves, or hold more than the memory budget."
        )
    if config.defenses and "undefended" not in results.scores:
        notes.append(
            "Whether the attack works at all without the defences was not tried, which takes the truth and an oracle "
            "that may be asked about it: if the attack fails, that says nothing about them."
        )
    return notes
