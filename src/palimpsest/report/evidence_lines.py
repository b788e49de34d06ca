"""The tests of a run with their results, one line each, in the order of the evidence page."""

from collections.abc import Iterator, Mapping

from palimpsest.metrics import (
    Estimate,
    ForgettingTest,
    Interval,
    Metrics,
    PositiveControl,
    UndefendedBaseline,
    closer_than_constant,
    forgetting_table,
    identification_limit,
    leak_level,
)
from palimpsest.report.control_groups import NAMES
from palimpsest.report.evidence_schema import EvidenceLine, LineFinding, Question

_SOUND = 0.9


def evidence_lines(metrics: Metrics, *, samples: str = "samples") -> list[EvidenceLine]:
    """Return every test of a run with its result.

    Args:
        metrics: The metrics of a run.
        samples: The samples in one word, such as "images".
    """
    return [
        *_attack(metrics),
        *_candidates(metrics),
        *_controls(metrics),
        *_control_groups(metrics),
        *_bounds(metrics),
        *(_forgetting(test, samples) for test in forgetting_table(metrics)),
        *_verification(metrics),
    ]


def _disclosure(
    test: str,
    result: float,
    finding: LineFinding,
    *,
    interval: Interval | None = None,
    share: bool = False,
    comparisons: Mapping[str, float | None],
) -> EvidenceLine:
    known = {name: Estimate(value=value) for name, value in comparisons.items() if value is not None}
    estimate = Estimate(value=result, interval=interval)
    return EvidenceLine(
        question=Question.DISCLOSURE,
        test=test,
        result=estimate,
        share=share,
        comparisons=known,
        finding=finding,
    )


def _found(found: bool) -> LineFinding:
    return LineFinding.FOUND if found else LineFinding.NOT_FOUND


def _attack(metrics: Metrics) -> Iterator[EvidenceLine]:
    """Yield the results of the attack, by the same criteria as the verdict."""
    scores, limit = metrics.reconstruction, identification_limit(metrics)
    rate = metrics.rate("identification_top1")
    if scores is not None and limit is not None:
        chance = metrics.chance.get("identification_top1")
        yield _disclosure(
            "Identified by their reconstruction",
            scores.identification_top1,
            _found(limit > (1.0 if chance is None else chance)),
            interval=rate and rate.interval,
            share=True,
            comparisons={"chance": chance},
        )
    typical = metrics.baselines.get("mean_image") or metrics.baselines.get("typical")
    name = "token_accuracy" if scores is not None and scores.mse is None else "mse"
    reading = metrics.score(name)
    if reading is not None:
        label = "Mean squared error" if name == "mse" else "Tokens reconstructed correctly"
        yield _disclosure(
            label,
            reading.value,
            _found(closer_than_constant(metrics)),
            interval=reading.interval,
            share=name != "mse",
            comparisons={"constant answer": typical and typical.score(name)},
        )
    labels = metrics.rate("label_accuracy")
    if labels is not None:
        yield _disclosure(
            "Labels recovered",
            labels.value,
            LineFinding.INFORMATION,
            interval=labels.interval,
            share=True,
            comparisons={"most frequent class": labels.chance},
        )


def _candidates(metrics: Metrics) -> Iterator[EvidenceLine]:
    """Yield what an attacker learns who holds the forgotten samples as candidates."""
    test, linkage = metrics.permutation_test, metrics.linkage
    if test is not None:
        level = leak_level(metrics)
        yield _disclosure(
            "Permutation test, p-value",
            test.p_value,
            _found(test.p_value <= level),
            comparisons={"level": level},
        )
    if linkage is not None:
        low, high = linkage.intervals[0]
        yield _disclosure(
            "Linked to their proofs among candidates",
            linkage.identified,
            _found(low > linkage.chance),
            interval=(low, high),
            share=True,
            comparisons={"chance": linkage.chance},
        )
    groups = metrics.aggregation and metrics.aggregation.linkage
    if groups:
        yield _disclosure(
            "Linked to their aggregated proof, AUC",
            groups.auc.value,
            _found(groups.exposed),
            interval=(groups.auc.low, groups.auc.high),
            comparisons={"chance": groups.auc.chance},
        )


def _controls(metrics: Metrics) -> Iterator[EvidenceLine]:
    controls: dict[str, PositiveControl | UndefendedBaseline | None] = {
        "Positive control: identified": metrics.positive_control,
        "Undefended baseline: identified": metrics.undefended_baseline,
    }
    for name, control in controls.items():
        if control is not None:
            finding = LineFinding.CONTROL_PASSED if control.passed else LineFinding.CONTROL_FAILED
            yield _disclosure(
                name,
                control.identified,
                finding,
                interval=control.interval,
                share=True,
                comparisons={"chance": control.chance},
            )


def _control_groups(metrics: Metrics) -> Iterator[EvidenceLine]:
    """Yield the errors of the same attack on samples that were not to be forgotten."""
    scores = metrics.reconstruction
    for name, words in NAMES.items():
        group = metrics.control_groups.get(name)
        if group is not None:
            yield _disclosure(
                f"Mean squared error on {words} samples",
                group.mse,
                LineFinding.INFORMATION,
                interval=group.mse_interval,
                comparisons={"forgotten": scores and scores.mse},
            )


def _bounds(metrics: Metrics) -> Iterator[EvidenceLine]:
    bounds, privacy = metrics.bounds, metrics.privacy
    found, error = (None, None) if bounds is None else (bounds.identification, bounds.error)
    if found is not None and found.bound is not None:
        yield _disclosure(
            "Bound: linked to their proofs, at most",
            found.bound,
            LineFinding.LIMIT,
            share=True,
            comparisons={"chance": found.chance},
        )
    if error is not None:
        typical = metrics.baselines.get("mean_image") or metrics.baselines.get("typical")
        yield _disclosure(
            "Bound: mean squared error, at least",
            error.bayes_error,
            LineFinding.LIMIT,
            interval=error.bayes_interval,
            comparisons={"constant answer": typical and typical.mse},
        )
    if privacy is not None:
        yield _disclosure(
            "Differential privacy, epsilon",
            privacy.epsilon,
            LineFinding.GUARANTEE,
            comparisons={"delta": privacy.delta},
        )


def _forgetting(test: ForgettingTest, samples: str) -> EvidenceLine:
    compared = {"before": test.original, "retrained": test.retrained}
    comparisons = {name: estimate for name, estimate in compared.items() if estimate is not None}
    if test.chance is not None:
        comparisons["chance"] = Estimate(value=test.chance)
    return EvidenceLine(
        question=Question.FORGETTING,
        test=test.label.replace("samples", samples),
        result=test.unlearned,
        share=test.share,
        comparisons=comparisons,
        finding=_forgetting_finding(test),
    )


def _forgetting_finding(test: ForgettingTest) -> LineFinding:
    after = test.finds(test.unlearned)
    if after is None:
        return LineFinding.INFORMATION
    if after:
        return LineFinding.FOUND
    return LineFinding.NOT_FOUND if test.finds(test.original) else LineFinding.NOT_FOUND_BEFORE


def _verification(metrics: Metrics) -> Iterator[EvidenceLine]:
    """Yield the acceptance of the proofs, and the norm check and the best check against the worst forgery."""
    accepted = metrics.rate("accepted")
    if accepted is not None:
        yield EvidenceLine(
            question=Question.VERIFICATION,
            test="Proofs accepted by the norm check",
            result=Estimate(value=accepted.value, interval=accepted.interval),
            share=True,
            comparisons={} if accepted.chance is None else {"calibration": Estimate(value=accepted.chance)},
            finding=LineFinding.INFORMATION,
        )
    worst = {} if metrics.soundness is None else metrics.soundness.worst
    best = max(worst, key=lambda name: worst[name][0], default="")
    for name in dict.fromkeys(name for name in ("norm", best) if name in worst):
        area, low, high = worst[name]
        yield EvidenceLine(
            question=Question.VERIFICATION,
            test=f"Worst forgery, {name.removesuffix('-check').replace('-', ' ')} check, AUC",
            result=Estimate(value=area, interval=(low, high)),
            comparisons={"chance": Estimate(value=0.5)},
            finding=LineFinding.DETECTED if area >= _SOUND else LineFinding.MISSED,
        )
