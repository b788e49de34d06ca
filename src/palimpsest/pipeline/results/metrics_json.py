"""Conversion of an outcome to the contents of `metrics.json`."""

from dataclasses import asdict
from typing import Any

from palimpsest.artifacts import AuditorArtifacts, ServerArtifacts
from palimpsest.config import AuditConfig
from palimpsest.federation import parameter_distance
from palimpsest.metrics import (
    Measured,
    Metrics,
    SampleScores,
    Scores,
    TrainingMetrics,
    forgetting_tests,
    judge_control,
    judge_undefended,
    reach_verdict,
)
from palimpsest.pipeline.results.certified import certificate_metrics
from palimpsest.pipeline.results.control_groups import control_group_metrics
from palimpsest.pipeline.results.membership import membership_forgetting_tests, membership_metrics
from palimpsest.pipeline.results.outcome import Federated, Outcome
from palimpsest.pipeline.results.overlap import overlap_metrics
from palimpsest.pipeline.results.prior import prior_comparison
from palimpsest.pipeline.results.privacy import privacy_metrics
from palimpsest.pipeline.results.rates import excluded_replies, outcome_rates
from palimpsest.pipeline.stages.group_scores import Aggregation
from palimpsest.pipeline.stages.soundness import Soundness
from palimpsest.proofs import Verdicts
from palimpsest.registry import VERIFIERS, summary


def build_metrics(outcome: Outcome, seconds: dict[str, float]) -> Metrics:
    """Collect everything that was measured.

    Args:
        outcome: The results of all stages.
        seconds: Wall time of each stage in seconds, by name.

    Returns:
        The contents of `metrics.json`. Parts that were not measured are absent.
    """
    scored, verdicts, soundness = outcome.scored, outcome.verdicts, outcome.soundness
    parts: dict[str, Any] = {
        "attack": scored.reconstruction.facts,
        "certificates": certificate_metrics(outcome),
        "seconds": seconds,
        "rates": outcome_rates(outcome),
        "linkage": scored.linkage,
        "permutation_test": scored.pairing,
        "verification": verdicts and _verification(verdicts),
        "bounds": outcome.bounds and outcome.bounds.metrics,
        "soundness": soundness and _soundness(soundness),
        "positive_control": scored.control and judge_control(scored.control),
        "training": training_metrics(outcome),
        "portfolio": [*outcome.members] or None,
        "undefended_baseline": scored.undefended and judge_undefended(scored.undefended),
        "forgetting": outcome.forgetting,
        "prior_comparison": prior_comparison(outcome),
        "control_groups": control_group_metrics(outcome),
        "auxiliary_overlap": overlap_metrics(outcome),
        "aggregation": outcome.aggregation and _aggregation(outcome, outcome.aggregation),
        **_source(outcome),
    }
    if scored.scores is not None:
        parts |= _scores(scored.scores)
        parts["attackers"] = {
            name: {"reconstruction": scores.reconstruction(), "intervals": scores.intervals}
            for name, scores in scored.attackers.items()
        }
    if scored.batches is not None:
        parts["label_accuracy"] = scored.batches.label_accuracy
        parts["retained"] = _part(scored.batches.retained)
        parts["prior"] = _part(scored.batches.prior)
    if parts["forgetting"] is not None:
        parts["forgetting_tests"] = forgetting_tests(parts["forgetting"], parts["rates"])
    if parts.get("membership") is not None:
        parts["forgetting_tests"] += membership_forgetting_tests(parts["membership"])
    metrics = Metrics(**{name: part for name, part in parts.items() if part is not None})
    return metrics.model_copy(update={"verdict": reach_verdict(metrics)})


def training_metrics(outcome: Outcome) -> TrainingMetrics | None:
    """Summarize the training of a learned attack's first network.

    Args:
        outcome: The results of all stages.

    Returns:
        The summary, or None if the attack trains no network.
    """
    history = outcome.scored.reconstruction.history
    losses, errors = history.get("training_loss", []), history.get("validation_mse", [])
    if not losses:
        return None
    best = len(losses)
    if errors and getattr(outcome.reported_attack.build(), "patience", None) is not None:
        best = min(range(len(errors)), key=errors.__getitem__) + 1
    return TrainingMetrics(
        epochs=len(losses),
        best_epoch=best,
        first_loss=losses[0],
        last_loss=losses[-1],
        validation_mse=errors[best - 1] if errors else None,
    )


def _source(outcome: Outcome) -> dict[str, Any]:
    """The part about the federation, or about the supplied proofs or gradients."""
    source = outcome.source
    if isinstance(source, AuditorArtifacts):
        count, dimension = source.proofs.vectors.shape
        return {"proofs": {"count": count, "dimension": dimension, "attested": source.proofs.attested}}
    if isinstance(source, ServerArtifacts):
        observation = source.observed.observation
        batches, dimension = observation.gradients_before.shape
        sizes = {"retained": observation.retained, "forgotten": observation.forgotten}
        return {"observation": {"batches": batches, "dimension": dimension, **sizes}}
    return _federation(source) | (
        {} if outcome.scored.batches is None else {"parameter_distance": _parameter_distance(source)}
    )


def _federation(federated: Federated) -> dict[str, Any]:
    forgetting, original = federated.forgetting, federated.original
    return {
        "federation": {
            "original_accuracy": forgetting.original.test,
            "unlearned_accuracy": forgetting.unlearned.test,
            "participation": original.participation,
            "faults": sum(len(finished.excluded) for finished in original.rounds),
        },
        "privacy": privacy_metrics(federated),
        "forgetting": forgetting,
        "membership": federated.membership and membership_metrics(federated.membership, federated.unlearned),
        "excluded_replies": excluded_replies([*original.rounds, *federated.unlearned.rounds]),
    }


def _parameter_distance(federated: Federated) -> float:
    before, after = federated.original.parameters, federated.unlearned.parameters
    return parameter_distance(before, after, federated.federation.network())


def _verification(verdicts: Verdicts) -> dict[str, Any]:
    accepted = int(verdicts.accepted.sum())
    return {"tau": verdicts.tau, "accepted": accepted, "rejected": len(verdicts.accepted) - accepted}


def _soundness(soundness: Soundness) -> dict[str, Any]:
    checks = {name: summary(verifier) for name, verifier in VERIFIERS if name in soundness.areas}
    return asdict(soundness) | {"worst": soundness.worst, "checks": checks}


def _aggregation(outcome: Outcome, aggregation: Aggregation) -> dict[str, Any]:
    assert isinstance(outcome.config, AuditConfig), "only audits aggregate proofs"
    sizes = aggregation.groups.sizes
    return {
        "granularity": outcome.config.proofs.granularity,
        "proofs": len(sizes),
        "smallest": min(sizes),
        "largest": max(sizes),
        "linkage": aggregation.linkage,
        "same_classes": aggregation.same_classes,
        "group_mean": _part(aggregation.group_mean),
    }


def _scores(scores: Scores | SampleScores) -> dict[str, Any]:
    return {
        "reconstruction": scores.reconstruction(),
        "chance": scores.chance(),
        "baselines": scores.baselines,
        "intervals": scores.intervals,
        "metrics": scores.meanings(),
    }


def _part(measured: Measured | None) -> dict[str, Any] | None:
    return None if measured is None else {**measured.aggregates(), "intervals": measured.intervals}
