"""Tests of forgetting from accuracies, membership inference by loss, and the distance to exact retraining."""

from collections.abc import Iterator, Mapping

from palimpsest.metrics.forgetting import Behavior, Forgetting
from palimpsest.metrics.membership import FALSE_POSITIVE_RATE
from palimpsest.metrics.rates import Rate
from palimpsest.metrics.schema_forgetting import Estimate, ForgettingTest
from palimpsest.metrics.schema_parts import Interval

FEWEST = 10
"""Fewest members, and fewest nonmembers, with which an area under a ROC curve is decisive: its interval uses a normal
approximation."""
_MODELS = ("original", "unlearned", "retrained")
_NAMES = {
    "accuracy_retained": "Accuracy on retained samples",
    "accuracy_forgotten": "Accuracy on forgotten samples",
    "accuracy_test": "Accuracy on {} samples",
    "membership_auc": "Membership inference by loss, AUC",
    "membership_tpr": "Membership inference by loss, TPR at 1 % FPR",
}


def forgetting_tests(forgetting: Forgetting, rates: Mapping[str, Rate]) -> list[ForgettingTest]:
    """Return the rows of the table of forgetting that follow from the accuracies, losses and parameters.

    A threshold on the loss is decisive: without the forgotten samples, the area under its ROC curve is 0.5, or that of
    the retrained model. The area is not decisive with fewer than `FEWEST` samples on either side. An accuracy is not
    decisive, because a model that is better at everything is also better on the forgotten samples.

    Args:
        forgetting: The measurements.
        rates: The rates of the run, of which those of the three models give the intervals.
    """
    return [*_behavior_tests(forgetting, rates), *_distance_test(forgetting)]


def _behavior_tests(forgetting: Forgetting, rates: Mapping[str, Rate]) -> Iterator[ForgettingTest]:
    others = "test" if forgetting.retrained else "auxiliary"
    for name, label in _NAMES.items():
        original, unlearned, retrained = (
            _estimate(getattr(forgetting, model), name, rates.get(f"{name}_{model}")) for model in _MODELS
        )
        if original is None or unlearned is None:
            continue
        rate = rates.get(f"{name}_unlearned")
        yield ForgettingTest(
            name=name.replace("_", "-").replace("membership", "loss"),
            label=label.format(others),
            share=name != "membership_auc",
            original=original,
            unlearned=unlearned,
            retrained=retrained,
            chance=rate and rate.chance,
            count=rate and _samples(name, rate, forgetting.others),
            expected=_expected(name, retrained, rate, forgetting.others),
            side="above" if name == "membership_tpr" else "either",
        )


def _distance_test(forgetting: Forgetting) -> Iterator[ForgettingTest]:
    """Yield the relative parameter distance. Without other seeds, nothing says how small is small enough."""
    if forgetting.distance is not None and forgetting.distance.relative is not None:
        yield ForgettingTest(
            name="parameter-distance",
            label="Parameter distance to the retrained model",
            original=Estimate(value=1.0),
            unlearned=Estimate(value=forgetting.distance.relative),
            retrained=Estimate(value=0.0),
        )


def _estimate(behavior: Behavior | None, name: str, rate: Rate | None) -> Estimate | None:
    part, _, which = name.partition("_")
    value = (
        None if behavior is None else getattr(behavior if part == "accuracy" else behavior.membership, which)
    )
    return None if value is None else Estimate(value=value, interval=rate and (rate.low, rate.high))


def _samples(name: str, rate: Rate, others: int) -> int:
    """Return the number of samples behind a rate; that of an area also counts the nonmembers."""
    return max(1, rate.count - others) if name == "membership_auc" else rate.count


def _expected(name: str, retrained: Estimate | None, rate: Rate | None, others: int) -> Interval | None:
    known = retrained and retrained.interval
    if name == "membership_auc":
        if rate is None or min(rate.count - others, others) < FEWEST:
            return None
        return (min(0.5, known[0]), max(0.5, known[1])) if known else (0.5, 0.5)
    if name == "membership_tpr" and rate is not None:
        return 0.0, max(true_positive_limit(rate.count, others), known[1] if known else 0.0)
    return None


def true_positive_limit(members: int, others: int, *, rate: float = FALSE_POSITIVE_RATE) -> float:
    """Compute the largest true positive rate that is expected by chance, at a level of 2.5 %.

    The threshold is chosen on the nonmembers and admits k of m. If members and nonmembers do not differ, the number of
    members above it is beta-binomial with parameters n, k + 1 and m - k (order statistics of uniform ranks).

    Args:
        members: Number of members n, at least 1.
        others: Number of nonmembers m, at least 1.
        rate: The false positive rate, in [0, 1).

    Returns:
        The 97.5 % quantile of the rate by chance, in [0, 1].
    """
    # Imported late because scipy.stats takes half a second to import.
    from scipy.stats import betabinom

    admitted = int(rate * others + 1e-9)
    return float(betabinom.ppf(0.975, members, admitted + 1, others - admitted)) / members
