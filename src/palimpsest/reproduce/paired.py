"""Paired differences between cells over the seeds that both have, with Holm's correction for their number."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from palimpsest.display import format_number
from palimpsest.reproduce.summary import Estimate, Summary, estimate


@dataclass(frozen=True)
class Comparison:
    """Difference of the mean squared errors of two cells.

    Args:
        subject: What is compared, as the beginning of a sentence, such as `the MSE of two minus that of one`.
        difference: Mean over the seeds with its 95 % interval, and the difference in each seed; see `estimate`.
        p_value: Two-sided p-value of a paired t-test; None with fewer than two seeds.
    """

    subject: str
    difference: Estimate
    p_value: float | None


def compare(subject: str, first: Summary, second: Summary) -> Comparison | None:
    """Compare two cells over the seeds that both have.

    The runs of one seed have the same federation, forgotten samples and batches, so their difference is the attacks'.

    Args:
        subject: What is compared, as the beginning of a sentence.
        first: The cell from whose errors the others are subtracted.
        second: The cell whose errors are subtracted.

    Returns:
        The comparison; None if no seed is in both.
    """
    values = [dict(zip(cell.seeds, cell.scores["mse"].values, strict=True)) for cell in (first, second)]
    seeds = [seed for seed in values[0] if seed in values[1]]
    differences = [values[0][seed] - values[1][seed] for seed in seeds]
    return from_differences(subject, differences) if differences else None


def from_differences(subject: str, differences: Sequence[float]) -> Comparison:
    """Test whether paired differences have the mean zero.

    Args:
        subject: What is compared, as the beginning of a sentence.
        differences: The difference in each seed, at least one.

    Returns:
        The mean with its 95 % interval, and the p-value of a paired t-test.
    """
    from scipy.stats import ttest_1samp

    # The test is undefined if no difference varies; equal cells then have p = 1, others p = 0.
    if len(differences) < 2:
        p_value = None
    elif np.ptp(differences) == 0:
        p_value = float(differences[0] == 0)
    else:
        _, p_value = map(float, ttest_1samp(differences, 0.0))
    return Comparison(subject, estimate(differences), p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that the chance of any false rejection stays below the level (Holm, 1979).

    Args:
        p_values: P-values of m tests, in [0, 1].

    Returns:
        The adjusted p-values in the same order. The k-th smallest is multiplied by m - k + 1, is not below those before
        it, and is at most 1.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


def sentences(comparisons: Sequence[Comparison]) -> list[str]:
    """Write a sentence for each comparison, with its interval and its p-value after Holm's correction for their number.

    Args:
        comparisons: All comparisons of a study.
    """
    tested = [comparison.p_value for comparison in comparisons if comparison.p_value is not None]
    adjusted = iter(holm(tested))
    return [
        f"{comparison.subject} is {format_number(comparison.difference.mean, '.2g')} "
        f"({_evidence(comparison, None if comparison.p_value is None else next(adjusted))})."
        for comparison in comparisons
    ]


def _evidence(comparison: Comparison, p_value: float | None) -> str:
    difference = comparison.difference
    if p_value is None:
        return "one seed"
    evidence = f"{len(difference.values)} seeds, p = {p_value:.2g} after Holm's correction"
    if difference.low is None or difference.high is None:
        return f"the same in all of {evidence}"
    low, high = (format_number(value, ".2g") for value in (difference.low, difference.high))
    return f"95 % interval over seeds {low} to {high}, {evidence}"
