"""An audit's results, told to those who read them: `metrics.json` and the report."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from palimpsest.attacks import spelled_out
from palimpsest.config import AuditConfig
from palimpsest.metrics import Measured, SampleScores, Scores
from palimpsest.pipeline.results.outcome import Confirmed, Results
from palimpsest.pipeline.results.rates import credibility_notes, credibility_tree, labels_note, labels_rate
from palimpsest.pipeline.stages.soundness import Soundness
from palimpsest.proofs import Verdicts
from palimpsest.registry import VERIFIERS, summary
from palimpsest.report import ReportInput, judge
from palimpsest.report.scores import number
from palimpsest.runs import Manifest
from palimpsest.unlearning import Forgetting


def metrics_tree(results: Results, seconds: dict[str, float]) -> dict[str, Any]:
    """What `metrics.json` holds, as plain values.

    Args:
        results: The audit's.
        seconds: Each stage's duration.
    """
    forgetting = results.forgetting
    tree: dict[str, Any] = {
        "federation": {
            "original_accuracy": forgetting.original.test,
            "unlearned_accuracy": forgetting.unlearned.test,
            "participation": results.original.participation,
            "faults": sum(len(one.left_out) for one in results.original.rounds),
        },
        "forgetting": asdict(forgetting),
        "verification": verification_tree(results.verdicts),
        **scores_tree(results.scores, results.others, results.confirmed, results.soundness),
        "attack": results.reconstruction.facts,
        "seconds": seconds,
        **credibility_tree(results),
    }
    served = results.served
    if served is not None:
        tree["moved"] = served.moved
        tree["remaining"], tree["prior"] = part_tree(served.remaining), part_tree(served.prior)
        tree["labels_right"] = served.labels_right
    return tree


def part_tree(measured: Measured | None) -> dict[str, Any] | None:
    """The part of `metrics.json` about images that an attack made or used on the way, if there are any."""
    return None if measured is None else {**measured.aggregates(), "intervals": measured.intervals}


def verification_tree(verdicts: Verdicts) -> dict[str, Any]:
    """The part of `metrics.json` that says what the verifier accepted."""
    accepted = int(verdicts.accepted.sum())
    return {"tau": verdicts.tau, "accepted": accepted, "refused": len(verdicts.accepted) - accepted}


def scores_tree(
    scores: Scores | SampleScores,
    others: Mapping[str, Scores | SampleScores],
    confirmed: Confirmed | None,
    soundness: Soundness | None,
) -> dict[str, Any]:
    """The part of `metrics.json` that needs the forgotten images.

    Args:
        scores: Of the first attacker.
        others: Of those beside it, by name.
        confirmed: What could be confirmed, if that was asked.
        soundness: What acceptance is worth, if that was measured.
    """
    tree: dict[str, Any] = {
        "reconstruction": scores.reconstruction(),
        "chance": scores.chance(),
        "baselines": scores.baselines,
        "intervals": scores.intervals,
        "metrics": scores.meanings(),
    }
    for name, one in others.items():
        tree.setdefault("attackers", {})[name] = {
            "reconstruction": one.reconstruction(),
            "intervals": one.intervals,
        }
    if confirmed is not None:
        tree["confirmation"] = {"statistic": confirmed.statistic, **asdict(confirmed.scores)}
    if soundness is not None:
        checks = {name: summary(check) for name, check in VERIFIERS if name in soundness.areas}
        tree["soundness"] = asdict(soundness) | {"worst": soundness.worst, "checks": checks}
    return tree


def report_input(
    results: Results, metrics: dict[str, Any], *, manifest: Manifest, command: str
) -> ReportInput:
    """What the report shows.

    Args:
        results: The audit's.
        metrics: As `metrics_tree` made them.
        manifest: The run's.
        command: The shell command that makes the audit again.
    """
    config, scores, unlearned = results.config, results.scores, results.unlearned
    attack = config.attack.components["name"]
    return ReportInput(
        title=f"{config.attack.name} against {unlearned_name(config)} on {config.data.name.rstrip('/')}",
        command=command or "palimpsest audit config.yaml",
        config=config.model_dump(mode="json"),
        config_yaml=config.to_yaml(),
        versions=manifest["versions"],
        seconds=metrics["seconds"],
        metrics=metrics,
        originals=results.data.train.images[unlearned.forgotten],
        reconstructions=results.reconstruction.images,
        labels=results.data.train.labels[unlearned.forgotten],
        owners=unlearned.owner,
        per_image=scores.per_image(),
        accepted=results.verdicts.accepted,
        norms=results.verdicts.norms,
        curves=results.reconstruction.history,
        knowledge=spelled_out(attack.knowledge),
        participation=results.original.participation,
        forgetting=_three_models(results.forgetting),
        notes=[*results.data.notes, *unlearned.notes, *_batch_notes(results), *credibility_notes(results)],
        class_names=results.data.class_names,
        absent=scores.absent(),
    )


def _batch_notes(results: Results) -> Iterator[str]:
    """What a reader must know of an attack on whole batches."""
    if results.served is None:
        return
    seen = results.config.observation
    yield (
        f"The server saw the gradients of batches of {seen.remaining} remaining and {seen.forgotten} forgotten samples"
        + (f" after {seen.local_steps} local steps." if seen.local_steps > 1 else ".")
    )
    if seen.forgotten > 1:
        yield (
            "A batch has no order: its reconstructions were paired with its originals so that the total MSE is "
            "smallest, which flatters the attack."
        )
    labels = results.data.train.labels[results.unlearned.forgotten]
    yield labels_note(labels_rate(results.served.labels_right, labels))
    if results.served.remaining is not None:
        yield (
            "It reconstructed the remaining samples with an MSE of "
            f"{number(float(results.served.remaining.mse.mean()))}."
        )
    if results.served.prior is not None:
        yield (
            "The public images that it started from have themselves an MSE of "
            f"{number(float(results.served.prior.mse.mean()))}."
        )


def verdict_text(page: ReportInput) -> str:
    """The report's first sentences, one a line."""
    verdict = judge(
        page.metrics,
        labels=page.labels,
        owners=page.owners,
        participation=page.participation,
        forgetting=page.forgetting,
    )
    return "\n".join([verdict.headline, *verdict.findings])


def unlearned_name(config: AuditConfig) -> str:
    """How the unlearning is called in a title."""
    return f"{config.unlearning.scenario}-level unlearning by {config.unlearning.method}"


def _three_models(forgetting: Forgetting) -> dict[str, Any]:
    models = (forgetting.original, forgetting.unlearned, forgetting.retrained)
    return {
        "accuracy_retained": [model.retained for model in models],
        "accuracy_forgotten": [model.forgotten for model in models],
        "accuracy_test": [model.test for model in models],
        "membership_auc": [model.membership.auc for model in models],
        "membership_tpr": [model.membership.tpr for model in models],
        "distance_to_retrained": forgetting.distance.absolute,
        "relative_distance": forgetting.distance.relative,
    }
