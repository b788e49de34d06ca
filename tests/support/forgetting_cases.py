"""Tests of forgetting that lead to each verdict."""

from palimpsest.metrics import Estimate, ForgettingGrade, ForgettingTest, Interval

GRADED: dict[ForgettingGrade, tuple[Interval, Interval]] = {
    ForgettingGrade.NOT_FORGOTTEN: ((0.7, 0.8), (0.65, 0.75)),
    ForgettingGrade.TRACES_REMAIN: ((0.7, 0.8), (0.55, 0.65)),
    ForgettingGrade.NO_TRACE_FOUND: ((0.7, 0.8), (0.45, 0.55)),
    ForgettingGrade.INCONCLUSIVE: ((0.45, 0.55), (0.45, 0.55)),
}
"""Intervals of the original and of the unlearned model, by verdict, where 0.5 is expected."""


def graded_forgetting(
    original: Interval, unlearned: Interval, *, expected: Interval | None = (0.5, 0.5), **changes: object
) -> ForgettingTest:
    """Make a test of forgetting from the intervals of both models.

    Args:
        original: The interval of the original model.
        unlearned: The interval of the unlearned model.
        expected: The range of a model without the samples.
        changes: Further fields of the test.
    """
    before, after = (Estimate(value=sum(ends) / 2, interval=ends) for ends in (original, unlearned))
    fields = {"name": "case", "label": "Case", "original": before, "unlearned": after, "expected": expected}
    return ForgettingTest.model_validate(fields | changes)
