"""Likelihood ratio attack, online and offline (LiRA, Carlini et al. 2022)."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Variance = Literal["auto", "per-sample", "global"]
"""Estimate of the variances: per sample, one for all samples, or, with `auto`, per sample from `PER_SAMPLE_FROM` shadow
models on."""
PER_SAMPLE_FROM = 64
"""Number of shadow models from which a variance for each sample is better than a global one (section VI.C)."""
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Normal:
    """A normal distribution of the signal for each sample.

    Args:
        mean: `[n]`.
        variance: `[n]`, positive.
    """

    mean: Tensor
    variance: Tensor

    def log_density(self, signal: Tensor) -> Tensor:
        """Return the logarithm of the density at each sample's signal, without the constant, `[n]`."""
        return -0.5 * ((signal - self.mean).square() / self.variance + self.variance.log())


def lira_online(target: Tensor, shadows: Tensor, members: Tensor, *, variance: Variance = "auto") -> Tensor:
    """Score membership by the likelihood ratio of two normal distributions (Carlini et al. 2022, Algorithm 1).

    Args:
        target: The tested model's logit-scaled confidence of each sample, `[n]`.
        shadows: The shadow models' confidences of the same samples, `[shadows, n]`.
        members: Which shadow model was trained on which sample, `[shadows, n]` bool. Each sample needs one shadow model
            that was trained on it and one that was not.
        variance: Estimate of the variances; see `Variance`.

    Returns:
        Logarithms of the likelihood ratio, higher for members, `[n]`.
    """
    inside = fit_normal(shadows, members, variance=variance)
    outside = fit_normal(shadows, ~members, variance=variance)
    return inside.log_density(target) - outside.log_density(target)


def lira_offline(target: Tensor, shadows: Tensor, members: Tensor, *, variance: Variance = "auto") -> Tensor:
    """Score membership by the distance from shadow models without the sample (Carlini et al. 2022, Eq. 4).

    Eq. 4 is a one-sided test, 1 - Pr[Z > target]. This is its standard score, which orders the samples in the same way
    and does not round to 1.

    Args:
        target: The tested model's logit-scaled confidence of each sample, `[n]`.
        shadows: The shadow models' confidences of the same samples, `[shadows, n]`.
        members: Which shadow model was trained on which sample, `[shadows, n]` bool. Only the others are used.
        variance: Estimate of the variances; see `Variance`.

    Returns:
        Standard scores, higher for members, `[n]`.
    """
    outside = fit_normal(shadows, ~members, variance=variance)
    return (target - outside.mean) / outside.variance.sqrt()


def fit_normal(shadows: Tensor, chosen: Tensor, *, variance: Variance = "auto") -> Normal:
    """Fit a normal distribution to each sample's signals in the chosen models.

    A global variance is the mean squared deviation of all chosen signals from their sample's mean.

    Args:
        shadows: Signals, `[shadows, n]`.
        chosen: Models to fit each sample's distribution to, `[shadows, n]` bool, at least one for each sample.
        variance: Estimate of the variances; see `Variance`.

    Returns:
        The distributions, in float64.
    """
    signals, weight = shadows.double(), chosen.double()
    counts = weight.sum(0)
    mean = (signals * weight).sum(0) / counts
    squares = ((signals - mean).square() * weight).sum(0)
    per_sample = variance == "per-sample" or (variance == "auto" and len(shadows) >= PER_SAMPLE_FROM)
    if per_sample:
        spread = squares / (counts - 1).clamp_min(1)
    else:
        freedom = (counts - 1).clamp_min(0).sum().clamp_min(1)
        spread = (squares.sum() / freedom).expand(len(mean))
    return Normal(mean, spread.clamp_min(_SMALLEST))


def reference_lira(target: Tensor, shadows: Tensor, members: Tensor) -> Tensor:
    """Score as `lira_online` does with a variance for each sample, one sample after another: correct, slow."""
    scores = list[float]()
    for sample in range(len(target)):
        signals, inside = shadows[:, sample].double(), members[:, sample]
        ratio = 0.0
        for part, sign in ((signals[inside], 1), (signals[~inside], -1)):
            normal = torch.distributions.Normal(part.mean(), part.std())
            ratio += sign * normal.log_prob(target[sample].double()).item()
        scores.append(ratio)
    return torch.tensor(scores, dtype=torch.float64)
