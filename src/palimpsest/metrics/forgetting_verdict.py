"""The verdict on forgetting, as a pure function of the metrics of a run: was it forgotten?"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from palimpsest.metrics.forgetting_tests import forgetting_tests
from palimpsest.metrics.schema import Metrics
from palimpsest.metrics.schema_forgetting import Estimate, ForgettingTest


class ForgettingGrade(StrEnum):
    """The four verdicts on forgetting, from the worst."""

    NOT_FORGOTTEN = "not forgotten"
    """A test finds the forgotten samples in the unlearned model, not less clearly than in the original model."""
    TRACES_REMAIN = "traces remain"
    """A test finds them, but less clearly than in the original model."""
    NO_TRACE_FOUND = "no trace found"
    """No test finds them although one did in the original model, or the model equals the retrained one."""
    INCONCLUSIVE = "inconclusive"
    """No test finds them, and nothing shows that a trace would have been found."""


@dataclass(frozen=True)
class ForgettingVerdict:
    """The verdict on forgetting with its reasons.

    Args:
        grade: One of the four verdicts.
        reasons: Reasons for the verdict, one sentence each.
        exact: Whether the unlearned model equals the retrained one, parameter for parameter.
    """

    grade: ForgettingGrade
    reasons: tuple[str, ...]
    exact: bool = False


def forgetting_table(metrics: Metrics) -> list[ForgettingTest]:
    """Return the rows of the table of forgetting, computed from the measurements if an earlier version lacks them.

    Args:
        metrics: The metrics of a run.
    """
    if metrics.forgetting_tests or metrics.forgetting is None:
        return metrics.forgetting_tests
    return forgetting_tests(metrics.forgetting, metrics.rates)


def judge_forgetting(metrics: Metrics) -> ForgettingVerdict:
    """Reach one of four verdicts; the first whose rule holds.

    - `not forgotten`: a decisive test finds the forgotten samples in the unlearned model, and the interval of its
      deviation does not lie below that of the original model.
    - `traces remain`: a decisive test finds them, less clearly than in the original model.
    - `no trace found`: no decisive test finds them, and one finds them in the original model; or the unlearned model
      equals the retrained one.
    - `inconclusive`: otherwise.

    Each test is at the level of its own 95 % interval, so more tests raise more false alarms, never more acquittals.

    Args:
        metrics: The metrics of a run.

    Returns:
        The verdict with its reasons.
    """
    distance = metrics.forgetting and metrics.forgetting.distance
    exact = distance is not None and distance.absolute == 0
    if exact:
        reason = "The unlearned model equals a model retrained without the forgotten samples, parameter for parameter."
        return ForgettingVerdict(ForgettingGrade.NO_TRACE_FOUND, (reason,), exact=True)
    tests = forgetting_table(metrics)
    found = [test for test in tests if test.finds(test.unlearned)]
    worse = [test for test in found if not _weaker(test)]
    if found:
        grade = ForgettingGrade.NOT_FORGOTTEN if worse else ForgettingGrade.TRACES_REMAIN
        return ForgettingVerdict(grade, tuple(_describe(worse or found)))
    decisive = [test for test in tests if test.finds(test.unlearned) is not None]
    controls = [test for test in decisive if test.finds(test.original)]
    if controls:
        return ForgettingVerdict(ForgettingGrade.NO_TRACE_FOUND, tuple(_describe(controls)))
    reason = (
        "No test finds the forgotten samples in the original model, so nothing shows that a trace would be found."
        if decisive
        else "No test with an expected range was run on the unlearned model."
    )
    return ForgettingVerdict(ForgettingGrade.INCONCLUSIVE, (reason,))


def _weaker(test: ForgettingTest) -> bool:
    """Return whether the unlearned model deviates less than the original one, beyond both intervals."""
    before, after = test.deviation(test.original), test.deviation(test.unlearned)
    return before is not None and after is not None and after[1] < before[0]


def _describe(tests: list[ForgettingTest]) -> Iterator[str]:
    for test in tests:
        assert test.expected is not None, "the test is decisive"
        before = f"{_written(test.original)} before and " if test.original else ""
        low, high = test.expected
        yield (
            f"{test.label}: {before}{_written(test.unlearned)} after unlearning (95 % interval). A model without the "
            f"forgotten samples shows {low:.3g} to {high:.3g}."
        )


def _written(estimate: Estimate) -> str:
    ends = "" if estimate.interval is None else f" ({estimate.interval[0]:.3g} to {estimate.interval[1]:.3g})"
    return f"{estimate.value:.3g}{ends}"
