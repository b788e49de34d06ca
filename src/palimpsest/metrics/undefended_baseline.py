"""Would this attack have worked without the defense? If not, its failure says nothing about the defense."""

from dataclasses import dataclass

from palimpsest.metrics.evaluate import Scores
from palimpsest.metrics.rates import binomial_interval
from palimpsest.metrics.vectors import SampleScores


@dataclass(frozen=True)
class UndefendedBaseline:
    """How the attack did in the same run on the same proofs before their defense.

    Args:
        identified: The share of samples that it told apart.
        interval: The exact 95 % interval of that share.
        chance: What guessing tells apart.
        mse: Its mean squared error; of sequences the share of wrong tokens.
        mean_image: That of the mean auxiliary image or row, or of each place's commonest token.
        passed: Whether it was better than chance or closer than the mean image, by the whole of an interval.
    """

    identified: float
    interval: tuple[float, float]
    chance: float
    mse: float
    mean_image: float
    passed: bool


def judge_undefended(undefended: Scores | SampleScores) -> UndefendedBaseline:
    """Judge the attack on undefended proofs.

    Args:
        undefended: Its scores.
    """
    scores, chance = undefended.reconstruction(), undefended.chance()["identification_top1"]
    count, identified = int(scores["count"] or 0), float(scores["identification_top1"] or 0.0)
    interval = binomial_interval(round(identified * count), count)
    error, highest, typical = _errors(undefended)
    return UndefendedBaseline(
        identified, interval, chance, error, typical, passed=interval[0] > chance or highest < typical
    )


def _errors(undefended: Scores | SampleScores) -> tuple[float, float, float]:
    """The attack's error, the upper end of its interval, and the error of one answer to everything."""
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
