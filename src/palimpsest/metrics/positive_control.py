"""Decision whether an attack works: on samples whose truth the attacker knows, and on undefended proofs."""

from palimpsest.metrics.evaluate import Scores
from palimpsest.metrics.rates import binomial_interval
from palimpsest.metrics.schema_parts import Interval
from palimpsest.metrics.schema_verdict import PositiveControl
from palimpsest.metrics.vectors import SampleScores


def judge_control(control: Scores | SampleScores) -> PositiveControl:
    """Decide whether an attack works on samples whose truth is known.

    Args:
        control: Scores of the attack on these samples.

    Returns:
        Its identification rate and error next to their baselines, and whether it passed.
    """
    scores, chance = control.reconstruction(), control.chance()["identification_top1"]
    count, identified = int(scores["count"] or 0), float(scores["identification_top1"] or 0.0)
    interval = binomial_interval(round(identified * count), count)
    error, ends, typical = _errors(control)
    return PositiveControl(
        count=count,
        identified=identified,
        interval=interval,
        chance=chance,
        mse=error,
        mse_interval=ends,
        mean_image=typical,
        passed=interval[0] > chance or ends[1] < typical,
    )


def _errors(control: Scores | SampleScores) -> tuple[float, Interval, float]:
    """Return the attack's error, its interval, and the error of the constant baseline."""
    scores, baselines, intervals = control.reconstruction(), control.baselines, control.intervals
    if "token_accuracy" in scores:
        right, typical = scores["token_accuracy"], baselines["typical"]["token_accuracy"]
        low, high = intervals["token_accuracy"]
        return 1 - float(right or 0.0), (1 - high, 1 - low), 1 - float(typical or 0.0)
    typical = baselines["mean_image" if "mean_image" in baselines else "typical"]["mse"]
    low, high = intervals["mse"]
    return float(scores["mse"] or 0.0), (low, high), float(typical or 0.0)
