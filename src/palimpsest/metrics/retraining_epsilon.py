"""Epsilon-unlearning estimates of each sample, from outputs of unlearned and of retrained models."""

import math

import torch
from torch import Tensor

EPSILON_CAP = 50.0
"""Estimate for a sample whose two distributions are separated perfectly."""
_DELTA = 1e-5
_PEAKED = 0.01


def unlearning_epsilons(unlearned: Tensor, retrained: Tensor, *, delta: float = _DELTA) -> Tensor:
    """Estimate, for each forgotten sample, how well an attacker separates unlearned from retrained models.

    The attacks are thresholds on the confidence, and intervals that contain the more concentrated distribution. An
    attack with false positive rate FPR and false negative rate FNR shows an epsilon of at least
    `max(log((1 - delta - FPR) / FNR), log((1 - delta - FNR) / FPR))`; the largest counts. As in the competition, an
    attack with exactly one rate of 0 is discarded, perfect separation gives `EPSILON_CAP`, and so does a distribution
    less than a hundredth as wide as the other. The competition scans a grid of thresholds; here, every threshold
    between two values is tried.

    Args:
        unlearned: Logit-scaled confidences by unlearned models of several seeds, `[k, n]`, k at least 2.
        retrained: The same by retrained models, `[m, n]`, m at least 2.
        delta: Probability that the guarantee leaves out, in [0, 1).

    Returns:
        Estimates `[n]` in [0, `EPSILON_CAP`]: 0 means that no attack separated the two. With k models each, a finite
        estimate is at most about `log(k - 1)`; see `largest_epsilon`.

    Source:
        Triantafillou et al. 2024, Are we making progress in unlearning?, section 4.
    """
    pairs = zip(unlearned.double().T, retrained.double().T, strict=True)
    return torch.tensor([_epsilon(*pair, delta) for pair in pairs], dtype=torch.float64)


def largest_epsilon(models: int) -> float:
    """Return the largest finite estimate that a number of models of each kind can give, without delta.

    Args:
        models: Number of unlearned models, and of retrained ones, at least 2.
    """
    return math.log(models - 1)


def forgetting_quality(epsilons: Tensor, models: int) -> float:
    """Average the samples' points: 1 for an estimate below 0.5, half as many for each further half.

    Args:
        epsilons: Estimates, `[n]`.
        models: Number of unlearned models, at least 2. Estimates of `ceil(log(models - 1))` or more get no points.

    Returns:
        Forgetting quality in [0, 1]; higher is better.

    Source:
        Triantafillou et al. 2024, forgetting quality F.
    """
    bins = (epsilons / 0.5).floor()
    last = 2 * math.ceil(largest_epsilon(models))
    return torch.where(bins < last, 0.5**bins, 0.0).mean().item()


def _epsilon(unlearned: Tensor, retrained: Tensor, delta: float) -> float:
    widths = [(one.max() - one.min()).item() for one in (unlearned, retrained)]
    if min(widths) < _PEAKED * max(widths):
        return EPSILON_CAP
    positive, negative = (
        (retrained, unlearned) if retrained.median() > unlearned.median() else (unlearned, retrained)
    )
    values = torch.cat([positive, negative]).unique()
    found = _best(_above(positive, values), _above(negative, values), delta)
    narrow, wide = (unlearned, retrained) if widths[0] < widths[1] else (retrained, unlearned)
    inside, other = _between(narrow, values), _between(wide, values)
    return min(max(found, _best(inside, other, delta)), EPSILON_CAP)


def _above(sample: Tensor, values: Tensor) -> Tensor:
    """Return the share of the sample that is at least each value."""
    return (sample[:, None] >= values).double().mean(0)


def _between(sample: Tensor, values: Tensor) -> Tensor:
    """Return the share of the sample from each value to each later one, both included."""
    left = _above(sample, values)
    right = (sample[:, None] > values).double().mean(0)
    first, last = torch.triu_indices(len(values), len(values))
    return left[first] - right[last]


def _best(true_positives: Tensor, false_positives: Tensor, delta: float) -> float:
    misses, alarms = 1 - true_positives, false_positives
    # Shares are multiples of 1 / models; rounding must not turn a zero into a tiny rate.
    missed, alarmed = misses > 1e-9, alarms > 1e-9
    if bool((~missed & ~alarmed).any()):
        return math.inf
    kept = missed & alarmed
    if not kept.any():
        return 0.0
    misses, alarms = misses[kept], alarms[kept]
    bounds = torch.maximum(
        (1 - delta - alarms).clamp(min=1e-300).log() - misses.log(),
        (1 - delta - misses).clamp(min=1e-300).log() - alarms.log(),
    )
    return max(0.0, bounds.max().item())
