"""The story of an attack on what a server saw: attack, score where the truth is there, report."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from palimpsest.artifacts.config import CaseConfig
from palimpsest.artifacts.server import Seen, gather_seen
from palimpsest.attacks import BatchReconstruction, ServerAttack, spelled_out
from palimpsest.datasets import ImageSet
from palimpsest.metrics import Belonging, Measured, Rate, Scores, in_order, label_recovery, measure_belonging
from palimpsest.pipeline.audit import score
from palimpsest.pipeline.results.metrics_json import part_tree, scores_tree
from palimpsest.pipeline.results.rates import (
    attack_rates,
    belonging_notes,
    certainty_tree,
    labels_note,
    labels_rate,
)
from palimpsest.pipeline.results.result import AuditResult
from palimpsest.pipeline.stages.server import measure_part
from palimpsest.randomness import make_generator
from palimpsest.report import Page, ReportInput, UnscoredInput, judge, write_page
from palimpsest.report.scores import number
from palimpsest.runs import Run


@dataclass(frozen=True)
class ServerResults:
    """Everything that the stages of an attack from the server made.

    Args:
        seen: What was brought.
        reconstruction: What was recovered; with the truth, in the originals' order within each batch.
        scores: How close, or none without the truth.
        labels: The share of the forgotten samples' classes that the attack had right, or none.
        remaining: How close the samples that stay were reconstructed, or none.
        prior: How close the images were already that the attack started from, or none.
        belonging: Whether the reconstructions belong to their samples; none without the truth, and where the pairs were
            chosen by their closeness.
    """

    seen: Seen
    reconstruction: BatchReconstruction
    scores: Scores | None = None
    labels: Rate | None = None
    remaining: Measured | None = None
    prior: Measured | None = None
    belonging: Belonging | None = None


def attack_as_server(
    run: Run, config: CaseConfig, *, data_dir: Path | None, device: str, command: str
) -> AuditResult:
    """Attack batches' gradients that somebody brings, in a run folder that is open.

    Args:
        run: The run.
        config: The case.
        data_dir: A folder that mirrors the published sets.
        device: Where the attack computes.
        command: What the report says to run to make it again.

    Raises:
        PalimpsestError: A piece is missing or does not fit another; the message says which.
    """
    seen = gather_seen(config, data_dir=data_dir, device=device)
    results = run_stages(run, config, seen, device=device)
    metrics = metrics_tree(results, run.seconds())
    page = server_page(config, results, metrics, run=run, command=command)
    write_page(run.folder, page)
    # The scores come last: where they stand, the run is done.
    run.finish(metrics)
    return AuditResult(run.folder, metrics, summary(page, results))


def run_stages(run: Run, config: CaseConfig, seen: Seen, *, device: str) -> ServerResults:
    """Attack, and score where the truth is there; each stage is kept in the run folder."""
    attack = config.attack.components["name"]
    assert isinstance(attack, ServerAttack), "another attack was refused"
    view = seen.view(attack, device=device, memory_budget=config.memory_budget)
    recovered = run.stage(
        "reconstructions",
        BatchReconstruction,
        lambda _: attack(view, generator=make_generator(config.seed, "attack")),
        key=(view.observation, view.public, view.labels, seen.models.fingerprint, config.attack, config.seed),
    )
    truth, sizes = seen.forgotten, config.observation
    remaining = None
    if seen.remaining is not None:
        remaining = measure_part(
            run, config, "remaining", recovered.retained, seen.remaining, batch=sizes.remaining
        )
    if truth is None:
        return ServerResults(seen, recovered, remaining=remaining)
    paired = replace(recovered, images=in_order(recovered.images, truth.images, batch=sizes.forgotten))
    return ServerResults(
        seen,
        paired,
        scores=score(run, config, truth, seen.public, "scores", paired),
        labels=labels_rate(
            label_recovery(recovered.labels, truth.labels, batch=sizes.forgotten), truth.labels
        ),
        remaining=remaining,
        prior=measure_part(run, config, "prior", recovered.prior, truth, batch=sizes.forgotten),
        belonging=belong(run, config, paired.images, truth) if sizes.forgotten == 1 else None,
    )


def belong(run: Run, config: CaseConfig, images: Tensor, truth: ImageSet) -> Belonging:
    """The stage `belonging`: do the reconstructions belong to their samples at all?"""
    permutations = config.scoring.bootstrap
    return run.stage(
        "belonging",
        Belonging,
        lambda _: measure_belonging(
            images,
            truth.images,
            truth.labels,
            permutations=permutations,
            generator=make_generator(config.seed, "belonging"),
        ),
        key=(images, truth, permutations, config.seed),
    )


def metrics_tree(results: ServerResults, seconds: dict[str, float]) -> dict[str, Any]:
    """What `metrics.json` holds, as plain values.

    Args:
        results: The attack's.
        seconds: Each stage's duration.
    """
    observation = results.seen.observed.observation
    tree: dict[str, Any] = {
        "observation": {
            "batches": len(observation.gradients_before),
            "remaining": observation.remaining,
            "forgotten": observation.forgotten,
            "dimension": observation.gradients_before.shape[1],
        },
        "attack": results.reconstruction.facts,
        "seconds": seconds,
        "remaining": part_tree(results.remaining),
    }
    if results.scores is None or results.labels is None:
        return tree
    rates = attack_rates(results.scores) | {"labels_right": results.labels}
    return {
        **tree,
        **scores_tree(results.scores, {}, None, None),
        **certainty_tree(rates, results.belonging, None),
        "prior": part_tree(results.prior),
        "labels_right": results.labels.value,
    }


def server_page(
    config: CaseConfig, results: ServerResults, metrics: dict[str, Any], *, run: Run, command: str
) -> Page:
    """What the page shows: with scores where the truth is there, without where it is not.

    Args:
        config: The case.
        results: What its stages made.
        metrics: As they are in `metrics.json`.
        run: The run.
        command: The shell command that makes the attack again.
    """
    attack = config.attack.components["name"]
    common: dict[str, Any] = {
        "title": f"{config.attack.name} against {config.brought.name}",
        "command": command or "palimpsest attack config.yaml",
        "facts": _facts(config, results),
        "config": config.model_dump(mode="json"),
        "config_yaml": config.to_yaml(),
        "versions": run.manifest["versions"],
        "seconds": metrics["seconds"],
        "reconstructions": results.reconstruction.images,
        "curves": results.reconstruction.history,
        "knowledge": spelled_out(attack.knowledge),
        "notes": _notes(config, results),
    }
    truth, scores = results.seen.forgotten, results.scores
    if truth is None or scores is None:
        return UnscoredInput(**common)
    return ReportInput(
        **common,
        metrics=metrics,
        originals=truth.images,
        labels=truth.labels,
        per_image=scores.per_image(),
        participation=(),
        class_names=results.seen.class_names,
        absent=scores.absent(),
    )


def summary(page: Page, results: ServerResults) -> str:
    """The first sentences of what came out, one a line."""
    if isinstance(page, ReportInput):
        verdict = judge(page.metrics, labels=page.labels)
        return "\n".join([verdict.headline, *verdict.findings])
    return (
        f"{len(results.reconstruction.images):,} forgotten samples were reconstructed from gradients; without the "
        "truth nothing is scored."
    )


def _facts(config: CaseConfig, results: ServerResults) -> list[tuple[str, str]]:
    observation = results.seen.observed.observation
    batches, dimension = observation.gradients_before.shape
    return [
        ("Gradients", f"{batches:,} batches, {dimension:,} numbers each"),
        ("Batch", f"{observation.remaining} remaining and {observation.forgotten} forgotten samples"),
        ("Model", config.model or ""),
        ("Public images", f"{len(results.seen.public):,}"),
        ("Attack", config.attack.name),
        ("Labels", str(getattr(config.attack.components["name"], "labels", "found by the attack"))),
        ("Seed", str(config.seed)),
    ]


def _notes(config: CaseConfig, results: ServerResults) -> list[str]:
    notes = ["How many samples of a batch remain and are forgotten was told by whoever ran the attack."]
    if results.labels is not None:
        notes.append(labels_note(results.labels))
    if results.scores is not None and config.observation.forgotten > 1:
        notes.append(
            "A batch has no order: its reconstructions were paired with its originals so that the total MSE is "
            "smallest, which flatters the attack."
        )
    for part, told in ((results.remaining, "remaining samples"), (results.prior, "images it started from")):
        if part is not None:
            notes.append(f"The {told} have an MSE of {number(float(part.mse.mean()))}.")
    return [*notes, *belonging_notes(results.belonging)]
