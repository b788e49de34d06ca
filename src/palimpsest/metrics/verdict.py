"""The verdict on a run, as a pure function of its metrics: the worst of what was tried, with the reasons."""

from collections.abc import Iterator, Sequence

from palimpsest.metrics.bound_evidence import bound_reasons, limits_every_attack
from palimpsest.metrics.prior_comparison import PriorComparison
from palimpsest.metrics.rates import binomial_interval
from palimpsest.metrics.schema import Metrics
from palimpsest.metrics.schema_verdict import Grade, PositiveControl, VerdictMetrics

_LEVEL = 0.05


def reach_verdict(metrics: Metrics) -> VerdictMetrics:
    """Reach one of the four verdicts; the first whose rule holds.

    - `leaks`: the exact interval of the identification rate lies above chance, or the interval of the error lies below
      the mean image's and the permutation test within classes shows that the reconstructions belong to their samples.
    - `leaks to candidate holders`: the linkage attack links more proofs than chance or, on aggregated proofs, the
      interval of its area under the ROC curve lies above 0.5, or the permutation test shows that the reconstructions
      belong to their samples.
    - `inconclusive`: any open question suggests that a leak could have been missed.
    - `no leak found`: no question is open; the positive control has passed, or the bounds limit every attack.

    What the bounds say, or why there are none, is the last of the reasons.

    Args:
        metrics: The metrics of a run.

    Returns:
        The verdict with its reasons.
    """
    leaks, bounds = list(_leaks(metrics)), list(bound_reasons(metrics))
    if leaks:
        return VerdictMetrics(grade=Grade.LEAKS, reasons=[*leaks, *_accuracy(metrics), *bounds])
    limited = limits_every_attack(metrics)
    candidates = list(_links(metrics))
    questions = list(_accuracy(metrics) if limited else _open_questions(metrics))
    if candidates:
        reasons = [*candidates, *questions, *bounds]
        return VerdictMetrics(grade=Grade.LEAKS_TO_CANDIDATE_HOLDERS, reasons=reasons)
    if questions:
        return VerdictMetrics(grade=Grade.INCONCLUSIVE, reasons=[*questions, *bounds])
    return VerdictMetrics(grade=Grade.NO_LEAK_FOUND, reasons=[*_evidence(metrics), *bounds])


def failed_attack(comparison: PriorComparison) -> str:
    """Say that an attack ended worse than its prior.

    Args:
        comparison: The attack's errors minus the prior's; its interval is above zero.
    """
    low, high = comparison.interval
    prior = "images that it started from" if comparison.prior == "start" else "mean auxiliary image"
    return (
        "Failed attack: worse than its prior, this is not protection. Its mean squared error is "
        f"{comparison.difference:.3g} above that of the {prior} (paired over images, 95 % interval {low:.3g} to "
        f"{high:.3g}). An attacker who keeps the prior, or models the noise, does better."
    )


def leak_level(metrics: Metrics) -> float:
    """Return the level of each test of a leak: 5 %, divided by the number of attacks whose best one is reported."""
    scored = sum(member.identified is not None and member.attack != "linkage" for member in metrics.portfolio)
    return _LEVEL / max(1, scored)


def identification_limit(metrics: Metrics) -> float | None:
    """Return the lower end of the identification rate's exact interval at the level of `leak_level`; None if unscored.

    Args:
        metrics: The metrics of a run.
    """
    scores = metrics.reconstruction
    if scores is None:
        return None
    right = round(scores.identification_top1 * scores.count)
    return binomial_interval(right, scores.count, confidence=1 - leak_level(metrics))[0]


def closer_than_constant(metrics: Metrics) -> bool:
    """Return whether the reconstructions are closer than a constant answer, and not only to samples of their class.

    Args:
        metrics: The metrics of a run; the attack must have been scored.
    """
    scores, test = metrics.reconstruction, metrics.permutation_test
    alone = scores is not None and scores.count == 1
    paired = alone or (test is not None and test.p_value_within_class <= leak_level(metrics))
    return paired and _closer_than_typical(metrics)


def _leaks(metrics: Metrics) -> Iterator[str]:
    """Yield what the reconstructions reveal."""
    scores, level, low = metrics.reconstruction, leak_level(metrics), identification_limit(metrics)
    if scores is None or low is None:
        return
    right, chance = (
        round(scores.identification_top1 * scores.count),
        metrics.chance.get("identification_top1", 1.0),
    )
    if low > chance:
        yield (
            f"The attack identifies {right:,} of {scores.count:,} forgotten samples; the lower end of the exact "
            f"{1 - level:.3g} interval, {low:.3g}, is above chance ({chance:.3g})."
        )
    if closer_than_constant(metrics):
        yield (
            "The reconstructions are closer to the originals than a constant answer, and closer to their own originals "
            "than to others of the same class."
        )


def _closer_than_typical(metrics: Metrics) -> bool:
    """Return whether the whole interval of the error is better than the constant answer's."""
    typical = metrics.baselines.get("mean_image") or metrics.baselines.get("typical")
    for name, sign in (("mse", 1), ("token_accuracy", -1)):
        reading, usual = metrics.score(name), typical and typical.score(name)
        if reading is not None and reading.interval is not None and usual is not None:
            return max(sign * end for end in reading.interval) < sign * usual
    return False


def _links(metrics: Metrics) -> Iterator[str]:
    """Yield what an attacker learns who already has the forgotten samples as candidates."""
    linkage, test, level = metrics.linkage, metrics.permutation_test, leak_level(metrics)
    if linkage is not None and linkage.intervals[0][0] > linkage.chance:
        yield (
            f"An attacker who holds the forgotten samples as candidates links {linkage.identified:.1%} of the proofs "
            f"to the correct one ({_interval(linkage.intervals[0])}; chance {linkage.chance:.3g})."
        )
    yield from _group_links(metrics)
    if test is not None and test.p_value <= level:
        yield (
            f"The reconstructions are closer to their own originals than to shuffled ones (permutation test, p = "
            f"{test.p_value:.3g})."
        )


def _group_links(metrics: Metrics) -> Iterator[str]:
    """Yield what the linkage attack on aggregated proofs finds."""
    linkage = metrics.aggregation and metrics.aggregation.linkage
    if linkage and linkage.exposed:
        yield (
            f"An attacker who holds candidates finds out which of them are behind an aggregated proof: the area under "
            f"the ROC curve is {linkage.auc.value:.3g} (95 % interval {linkage.auc.low:.3g} to {linkage.auc.high:.3g}; "
            "0.5 is chance)."
        )


def _open_questions(metrics: Metrics) -> Iterator[str]:
    """Yield why a leak could have been missed."""
    control, training = _best_control(metrics), metrics.training
    comparison = metrics.prior_comparison
    if comparison is not None and comparison.failed:
        yield failed_attack(comparison)
    if metrics.reconstruction is None:
        yield "The forgotten samples are unknown, so no reconstruction was scored."
        if control is not None and control.passed:
            yield (
                f"On samples whose truth is known, the same attack {_works(control)}. Expect the same of the proofs."
            )
    if control is None:
        yield (
            "No positive control was run, so nothing shows that the attack works here: attack.control_size is 0, or "
            "there are too few auxiliary samples."
        )
    elif not control.passed:
        yield (
            f"The positive control failed: on {control.count:,} of the attacker's own samples, kept aside from its "
            f"training, the attack identifies {control.identified:.1%} ({_interval(control.interval)}; chance "
            f"{control.chance:.3g}) with an error of "
            f"{control.mse:.3g} (constant answer: {control.mean_image:.3g})."
        )
    if training is not None and training.epochs > 1 and training.last_loss >= training.first_loss:
        yield (
            f"The attack did not learn: its training loss was {training.first_loss:.3g} in the first epoch and "
            f"{training.last_loss:.3g} in the last."
        )
    baseline = metrics.undefended_baseline
    if baseline is not None and not baseline.passed:
        yield (
            "The attack also fails on the proofs before the defenses, so its failure says nothing about them."
        )
    elif baseline is not None and control is not None and not control.passed:
        yield (
            "The attack works on the proofs before the defenses, but learned nothing through them. An effective "
            "defense looks like this, and so does an attack that can't adapt to it."
        )
    for member in metrics.portfolio:
        if member.out_of_time:
            yield f"{member.attack} was not run: {member.not_run}"
    yield from _accuracy(metrics)


def _accuracy(metrics: Metrics) -> Iterator[str]:
    """Yield that the model is not worth auditing if its accuracy is no better than chance."""
    rate = metrics.rates.get("accuracy_test_original")
    if rate is not None and rate.chance is not None and rate.low <= rate.chance:
        yield (
            f"The original model's test accuracy is {rate.value:.1%} (95 % interval {rate.low:.1%} to "
            f"{rate.high:.1%}), which includes chance ({rate.chance:.1%}). Proofs of such a model are not "
            "representative."
        )


def _evidence(metrics: Metrics) -> Iterator[str]:
    """Yield why the failure of the attack is evidence."""
    control = _best_control(metrics)
    yield "No attack identifies more forgotten samples than chance or comes closer than a constant answer."
    if control is not None and control.passed:
        yield f"On samples whose truth is known, the same attack {_works(control)}."
    else:
        yield "No other attack could either: the bounds below hold for all of them."


def _best_control(metrics: Metrics) -> PositiveControl | None:
    """Return a control that passed, if any attack has one: then a leak would have been found."""
    controls = [metrics.positive_control, *(member.positive_control for member in metrics.portfolio)]
    found = [control for control in controls if control is not None]
    return next((control for control in found if control.passed), found[0] if found else None)


def _works(control: PositiveControl) -> str:
    return (
        f"identifies {control.identified:.1%} of {control.count:,} ({_interval(control.interval)}; chance "
        f"{control.chance:.3g}) with an error of "
        f"{control.mse:.3g} (constant answer: {control.mean_image:.3g})"
    )


def _interval(ends: Sequence[float]) -> str:
    return f"95 % interval {ends[0]:.1%} to {ends[1]:.1%}"
