"""Shares of a whole, each with its exact interval and with what chance alone would give."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """A share in [0, 1], or an area under a ROC curve.

    Args:
        value: The share.
        low: Lower end of its 95 % interval.
        high: Upper end.
        chance: What somebody gets who knows nothing; none where nobody could say.
        count: Of how many.
    """

    value: float
    low: float
    high: float
    chance: float | None
    count: int


def share(value: float, count: int, *, chance: float | None = None) -> Rate:
    """A share of so many, with its exact binomial interval (Clopper and Pearson, Biometrika 26, 1934).

    Args:
        value: In [0, 1]; times `count` it is a whole number but for rounding.
        count: At least 1.
        chance: What chance gives.
    """
    return Rate(value, *binomial_interval(round(value * count), count), chance, count)


def area(value: float, positives: int, negatives: int) -> Rate:
    """An area under a ROC curve, with its interval (Hanley and McNeil, Radiology 143, 1982, Eq. 1).

    Args:
        value: In [0, 1]; a coin has 0.5.
        positives: How many are to be found, at least 1.
        negatives: Among how many others, at least 1.
    """
    above, below = value / (2 - value), 2 * value**2 / (1 + value)
    variance = (
        value * (1 - value) + (positives - 1) * (above - value**2) + (negatives - 1) * (below - value**2)
    ) / (positives * negatives)
    reach = 1.959964 * math.sqrt(max(0.0, variance))
    return Rate(value, max(0.0, value - reach), min(1.0, value + reach), 0.5, positives + negatives)


def binomial_interval(successes: int, trials: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share (Clopper and Pearson, Biometrika 26, 1934).

    Args:
        successes: At most `trials`.
        trials: At least 1.
        confidence: In (0, 1).

    Returns:
        Lower and upper bound in [0, 1].
    """
    # Imported late: scipy.stats takes half a second.
    from scipy.stats import beta

    tail = (1 - confidence) / 2
    lower = 0.0 if successes == 0 else float(beta.ppf(tail, successes, trials - successes + 1))
    upper = 1.0 if successes == trials else float(beta.ppf(1 - tail, successes + 1, trials - successes))
    return lower, upper
