"""Lower bounds of epsilon from scores of repeated releases of two samples."""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, ndtri
from torch import Tensor

from palimpsest.bounds.gaussian_privacy import gaussian_epsilon
from palimpsest.errors import ConfigurationError


@dataclass(frozen=True)
class MeasuredEpsilon:
    """Lower bounds of the privacy loss from a test between two samples.

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
    # With a sign of -1, the second sample is the one that is accepted.
    accepting, rejecting = (first, second) if sign > 0 else (second, first)
    accepted, wrongly = (int((sign * scores[half:] >= threshold).sum()) for scores in (accepting, rejecting))
    trials = len(first) - half
    low, high = _ends(np.asarray(accepted), np.asarray(wrongly), trials, confidence)
    mu = max(0.0, float(ndtri(low) - ndtri(high)))
    return MeasuredEpsilon(
        epsilon=float(_epsilon(low, high, delta)),
        gaussian_mu=mu,
        gaussian_epsilon=gaussian_epsilon(mu, delta),
        power=accepted / trials,
        level=wrongly / trials,
        releases=trials,
    )


def _best_threshold(first: Tensor, second: Tensor, delta: float, confidence: float) -> tuple[float, int]:
    """Return the threshold and the sign of the scores that give the largest bound."""
    best, chosen = -1.0, (float(first.median()), 1)
    for sign, pair in ((1, (first, second)), (-1, (second, first))):
        ordered = [np.sort(sign * scores.double().numpy()) for scores in pair]
        values, trials = np.unique(np.concatenate(ordered)), len(first)
        # In a gap between two scores, the middle is as far from both as possible.
        thresholds = np.concatenate([values[:1], (values[1:] + values[:-1]) / 2])
        accepted, wrongly = (trials - np.searchsorted(scores, thresholds) for scores in ordered)
        low, high = _ends(accepted, wrongly, trials, confidence)
        # Among thresholds without a bound, the difference of the shares decides.
        bounds = _epsilon(low, high, delta) + 1e-6 * (accepted - wrongly) / trials
        place = int(bounds.argmax())
        if bounds[place] > best:
            best, chosen = float(bounds[place]), (float(thresholds[place]), sign)
    return chosen


def _ends(
    accepted: np.ndarray, wrongly: np.ndarray, trials: int, confidence: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower ends of the power and the upper ends of the level (Clopper-Pearson), which hold together."""
    tail = (1 - confidence) / 2
    low = np.where(accepted > 0, betaincinv(np.maximum(accepted, 1), trials - accepted + 1, tail), 0.0)
    inside = np.minimum(wrongly, trials - 1)
    high = np.where(wrongly < trials, betaincinv(inside + 1, trials - inside, 1 - tail), 1.0)
    return low, high


def _epsilon(low: np.ndarray, high: np.ndarray, delta: float) -> np.ndarray:
    return np.maximum(0.0, np.log(np.maximum(low - delta, 1e-300) / high))
