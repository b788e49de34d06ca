"""Would this attack have worked without the defence? If not, its failure says nothing about the defence."""

from dataclasses import dataclass

from palimpsest.metrics.evaluate import Scores
from palimpsest.metrics.rates import binomial_interval


@dataclass(frozen=True)
class Control:
    """How the attack did in the same run on the same proofs before their defence.

    Args:
        identified: The share of images that it told apart.
        interval: The exact 95 % interval of that share.
        chance: What guessing tells apart.
        mse: Its mean squared error.
        mean_image: That of the mean auxiliary image.
        passed: Whether it was better than chance or closer than the mean image, by the whole of an interval.
    """

    identified: float
    interval: tuple[float, float]
    chance: float
    mse: float
    mean_image: float
    passed: bool


def judge_control(undefended: Scores) -> Control:
    """Judge the attack on undefended proofs.

    Args:
        undefended: Its scores.
    """
    right = (undefended.right_rank == 1).double()
    interval = binomial_interval(int(right.sum()), len(right))
    chance, mse = 1 / len(right), float(undefended.mse.mean())
    mean_image = float(undefended.baselines["mean_image"]["mse"] or 0.0)
    closer = undefended.intervals["mse"][1] < mean_image
    return Control(
        float(right.mean()), interval, chance, mse, mean_image, passed=interval[0] > chance or closer
    )
