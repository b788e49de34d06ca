"""Rates and areas under ROC curves with 95 % confidence intervals and chance levels."""

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True)
class Rate:
    """A share, or an area under a ROC curve, with its 95 % interval and chance level.

    Args:
        value: The share or area, in [0, 1].
        low: Lower end of its 95 % interval, in [0, 1].
        high: Upper end of its 95 % interval, in [0, 1].
        chance: Expected value of a random guess, in [0, 1]; None if it is unknown.
        count: Number of samples behind the value.
    """

    value: float
    low: float
    high: float
    # A file of metrics leaves out what is None, so a rate without a chance level must be readable without the key.
    chance: Annotated[float | None, Field(default=None)]
    count: int


def share(value: float, count: int, *, chance: float | None = None) -> Rate:
    """Make a rate from a share, with its exact binomial interval (Clopper and Pearson, Biometrika 26, 1934).

    Args:
        value: The share, in [0, 1]: a number of successes divided by `count`.
        count: Number of trials, at least 1.
        chance: Expected share of a random guess; None means unknown.

    Returns:
        The share with its 95 % interval.
    """
    return Rate(value, *binomial_interval(round(value * count), count), chance, count)


def area(value: float, positives: int, negatives: int) -> Rate:
    """Make a rate from an area under a ROC curve, with the interval of `area_interval`.

    Args:
        value: The area, in [0, 1]; 0.5 is chance.
        positives: Number of positives, at least 1.
        negatives: Number of negatives, at least 1.

    Returns:
        The area with its 95 % interval.
    """
    return Rate(value, *area_interval(value, positives, negatives), 0.5, positives + negatives)


def area_interval(value: float, positives: int, negatives: int) -> tuple[float, float]:
    """Compute the 95 % interval of an area under a ROC curve, which has a width above zero for every area.

    The interval consists of the areas from which `value` differs by at most 1.96 of their own standard errors
    (Newcombe, Statistics in Medicine 25, 2006, method 5, from Eq. 1 of Hanley and McNeil, Radiology 143, 1982). Its
    lower end is never above the exact one of a perfect area, and its upper end never below that of an area of 0.

    The exact lower end of a perfect area is 0.025 ** (1 / k), where k is the smaller number of samples: among the pairs
    are k that share no sample, all k are in the right order, and the area is the probability of each. It holds for any
    distribution of the scores (Hoeffding, Journal of the American Statistical Association 58, 1963, section 5b).

    Args:
        value: The area, in [0, 1].
        positives: Number of positives, at least 1. Positives and negatives are independent of each other.
        negatives: Number of negatives, at least 1.

    Returns:
        Lower and upper ends in [0, 1].
    """
    perfect = 0.025 ** (1 / min(positives, negatives))
    lower = min(perfect, _score_bound(value, positives, negatives))
    # The variance does not change if positives and negatives change places, so the upper end is a lower one mirrored.
    upper = 1 - min(perfect, _score_bound(1 - value, positives, negatives))
    return min(lower, value), max(upper, value)


def _score_bound(value: float, positives: int, negatives: int) -> float:
    """Return the smallest area from which `value` differs by at most 1.96 standard errors."""
    pairs, others = positives * negatives, (positives + negatives) / 2 - 1

    def rejected(area: float) -> bool:
        spread = 1 + others * ((1 - area) / (2 - area) + area / (1 + area))
        return value - area > 1.959964 * math.sqrt(area * (1 - area) * spread / pairs)

    low, high = 0.0, value
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rejected(middle) else (low, middle)
    return low


def binomial_interval(successes: int, trials: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Compute the exact binomial interval of a share (Clopper and Pearson, Biometrika 26, 1934).

    Args:
        successes: Number of successes, from 0 to `trials`.
        trials: Number of trials, at least 1.
        confidence: Coverage of the interval, in (0, 1).

    Returns:
        Lower and upper bounds in [0, 1].
    """
    # Imported late because scipy.stats takes half a second to import.
    from scipy.stats import beta

    tail = (1 - confidence) / 2
    lower = 0.0 if successes == 0 else float(beta.ppf(tail, successes, trials - successes + 1))
    upper = 1.0 if successes == trials else float(beta.ppf(1 - tail, successes + 1, trials - successes))
    return lower, upper
