"""Undefended baseline: the same attack on the proofs before their defense.

An attack that fails without the defense as well is no evidence for the defense.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palimpsest.metrics.evaluate import Scores
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


def judge_undefended(undefended: "Scores | SampleScores") -> UndefendedBaseline:
    """Decide whether the attack works on undefended proofs.

    Args:
        undefended: Scores of the attack on the undefended proofs.

    Returns:
        Its identification rate and error next to their baselines, and whether it passed.
    """
    # Imported late because a program that only reads metrics needs no torch.
    from palimpsest.metrics.positive_control import judge_control

    judged = judge_control(undefended)
    return UndefendedBaseline(
        judged.identified,
        judged.interval,
        judged.chance,
        judged.mse,
        judged.mean_image,
        passed=judged.passed,
    )
