"""Lower bounds of epsilon from scores of repeated releases of two samples."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from palimpsest.bounds.gaussian_privacy import gaussian_epsilon
from palimpsest.errors import ConfigurationError
from palimpsest.metrics import binomial_interval


@dataclass(frozen=True)
class MeasuredEpsilon:
    """What a test between two samples shows about the privacy of their release.

    Args:
        epsilon: Lower bound of epsilon at the given delta, at least 0, by Clopper-Pearson intervals; it holds for any
            release. With t releases of each sample it can't exceed about log(t / 3).
        gaussian_mu: Lower bound of mu if the release is Gaussian, at least 0.
        gaussian_epsilon: Lower bound of epsilon that follows from it, which has no such limit.
        power: Share of the first sample's releases that the test accepts.
        level: Share of the second sample's releases that it accepts.
        releases: Number of releases of each sample behind these shares.
    """

    epsilon: float
    gaussian_mu: float
    gaussian_epsilon: float
    power: float
    level: float
    releases: int


def measure_epsilon(
    first: Tensor, second: Tensor, *, delta: float, confidence: float = 0.95
) -> MeasuredEpsilon:
    """Test two samples against each other, and bound epsilon from below.

    The threshold and its side are chosen on the first half of the scores, and the bound is measured on the second half,
    so that it holds with the given confidence.

    Args:
        first: Scores of releases of one sample, `[t]`; higher speaks for this sample. t is at least 4.
        second: Scores of releases of another sample, `[t]`.
        delta: Probability with which the privacy loss may exceed epsilon, in (0, 1).
        confidence: Probability that the bounds hold, in (0, 1).

    Returns:
        The bounds.

    Raises:
        ConfigurationError: There are too few scores, or the numbers differ.

    Source:
        Jagielski, Ullman and Oprea 2020 (Clopper-Pearson); Nasr et al. 2023 (Gaussian version); Dong, Roth and Su 2022.
    """
    if len(first) != len(second) or len(first) < 4:
        raise ConfigurationError(
            f"There are {len(first)} and {len(second)} scores. Pass the same number of both, at least 4."
        )
    half = len(first) // 2
    threshold, sign = _best_threshold(first[:half], second[:half], delta, confidence)
    own, other = (sign * scores[half:] for scores in (first, second))
    # With a sign of -1, the second sample is the one that is accepted.
    own, other = (own, other) if sign > 0 else (other, own)
    trials, accepted, wrongly = len(own), int((own >= threshold).sum()), int((other >= threshold).sum())
    low, high = _ends(accepted, wrongly, trials, confidence)
    mu = max(0.0, float(ndtri(low) - ndtri(high)))
    return MeasuredEpsilon(
        epsilon=_epsilon(low, high, delta),
        gaussian_mu=mu,
        gaussian_epsilon=gaussian_epsilon(mu, delta),
        power=accepted / trials,
        level=wrongly / trials,
        releases=trials,
    )


def _ends(accepted: int, wrongly: int, trials: int, confidence: float) -> tuple[float, float]:
    """Return the lower end of the power and the upper end of the level, which hold together."""
    low, _ = binomial_interval(accepted, trials, confidence=confidence)
    _, high = binomial_interval(wrongly, trials, confidence=confidence)
    return low, high


def _epsilon(low: float, high: float, delta: float) -> float:
    return max(0.0, math.log((low - delta) / high)) if low > delta and high > 0 else 0.0


def _best_threshold(first: Tensor, second: Tensor, delta: float, confidence: float) -> tuple[float, int]:
    """Return the threshold and the sign of the scores that give the largest bound."""
    best, chosen = -1.0, (float(first.median()), 1)
    for sign, pair in ((1, (first, second)), (-1, (second, first))):
        own, other = (torch.sort(sign * scores).values for scores in pair)
        quantiles = np.unique(torch.cat([own, other]).numpy()[:: max(1, len(own) // 25)])
        for threshold in map(float, quantiles):
            accepted, wrongly = (int((scores >= threshold).sum()) for scores in (own, other))
            low, high = _ends(accepted, wrongly, len(own), confidence)
            # Among thresholds without a bound, the difference of the shares decides.
            value = _epsilon(low, high, delta) + 1e-6 * (accepted - wrongly) / len(own)
            if value > best:
                best, chosen = value, (threshold, sign)
    return chosen
