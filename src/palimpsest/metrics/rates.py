"""Rates and areas under ROC curves with 95 % confidence intervals and chance levels."""

import math
from dataclasses import dataclass


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
    chance: float | None
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
    """Make a rate from an area under a ROC curve, with its interval (Hanley and McNeil, Radiology 143, 1982, Eq. 1).

    Args:
        value: The area, in [0, 1]; 0.5 is chance.
        positives: Number of positives, at least 1.
        negatives: Number of negatives, at least 1.

    Returns:
        The area with its 95 % interval.
    """
    above, below = value / (2 - value), 2 * value**2 / (1 + value)
    variance = (
        value * (1 - value) + (positives - 1) * (above - value**2) + (negatives - 1) * (below - value**2)
    ) / (positives * negatives)
    reach = 1.959964 * math.sqrt(max(0.0, variance))
    return Rate(value, max(0.0, value - reach), min(1.0, value + reach), 0.5, positives + negatives)


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
