"""Undefended baseline: the same attack on the proofs before their defense.

An attack that fails without the defense as well is no evidence for the defense.
"""

from dataclasses import dataclass

from palimpsest.metrics.evaluate import Scores
from palimpsest.metrics.rates import binomial_interval
from palimpsest.metrics.vectors import SampleScores


@dataclass(frozen=True)
class UndefendedBaseline:
    """Scores of the attack on the same proofs of the same run before their defense.

    Args:
        identified: Share of samples identified (top-1), in [0, 1]; higher means a stronger attack.
        interval: Exact 95 % interval of that share, `[low, high]`.
        chance: Expected share of a random guess, in [0, 1].
        mse: Mean squared error, at least 0; for sequences, the share of wrong tokens, in [0, 1]. Lower means closer.
        mean_image: Error, in the same unit, of the mean auxiliary image or row, or of the most common token at each
            position.
        passed: Whether the attack works: the interval of its identification rate is above chance, or that of its error
            is below `mean_image`.
    """

    identified: float
    interval: tuple[float, float]
    chance: float
    mse: float
    mean_image: float
    passed: bool


def judge_undefended(undefended: Scores | SampleScores) -> UndefendedBaseline:
    """Decide whether the attack works on undefended proofs.

    Args:
        undefended: Scores of the attack on the undefended proofs.

    Returns:
        Its identification rate and error next to their baselines, and whether it passed.
    """
    scores, chance = undefended.reconstruction(), undefended.chance()["identification_top1"]
    count, identified = int(scores["count"] or 0), float(scores["identification_top1"] or 0.0)
    interval = binomial_interval(round(identified * count), count)
    error, highest, typical = _errors(undefended)
    return UndefendedBaseline(
        identified, interval, chance, error, typical, passed=interval[0] > chance or highest < typical
    )


def _errors(undefended: Scores | SampleScores) -> tuple[float, float, float]:
    """Return the attack's error, the upper end of its interval, and the error of the constant baseline."""
    scores, baselines, intervals = (
        undefended.reconstruction(),
        undefended.baselines,
        undefended.intervals,
    )
    if "token_accuracy" in scores:
        right, typical = scores["token_accuracy"], baselines["typical"]["token_accuracy"]
        return 1 - float(right or 0.0), 1 - intervals["token_accuracy"][0], 1 - float(typical or 0.0)
    typical = baselines["mean_image" if "mean_image" in baselines else "typical"]["mse"]
    return float(scores["mse"] or 0.0), intervals["mse"][1], float(typical or 0.0)
