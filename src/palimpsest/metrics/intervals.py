"""Confidence intervals of mean scores: exact for shares, by bootstrap for the others."""

from collections.abc import Mapping

import torch
from torch import Generator, Tensor

from palimpsest.metrics.bootstrap import bootstrap_intervals
from palimpsest.metrics.rates import binomial_interval

_SHARES = "identification_"
_MEAN_SHARES = "token_"


def mean_intervals(
    scores: Mapping[str, Tensor], *, resamples: int, generator: Generator
) -> dict[str, list[float]]:
    """Compute the 95 % interval of each score's mean over the samples.

    A share of identified samples gets the exact interval that the rates have, so that one number has one interval. A
    mean of shares gets a bootstrap interval that reaches at least as far as the exact one of n samples that all score
    1, or all score 0: if no sample differs, resampling them shows no uncertainty. The probability that a share is 1 is
    at most its expectation, so that exact interval holds for any distribution of the shares.

    Args:
        scores: Scores by name, `[n]` each; those whose names begin with `identification_` are 0 or 1, those whose names
            begin with `token_` are shares in [0, 1].
        resamples: Number of bootstrap resamples.
        generator: Source of the resamples.

    Returns:
        Lower and upper ends, by score.
    """
    ends = bootstrap_intervals(
        torch.stack(list(scores.values()), dim=1), resamples=resamples, generator=generator
    )
    exact = {
        name: list(binomial_interval(int(values.sum()), len(values)))
        for name, values in scores.items()
        if name.startswith(_SHARES)
    }
    bounded = {
        name: _widened(low, high, len(scores[name])) if name.startswith(_MEAN_SHARES) else [low, high]
        for name, (low, high) in zip(scores, ends.tolist(), strict=True)
    }
    return bounded | exact


def _widened(low: float, high: float, count: int) -> list[float]:
    """Return the ends of an interval that leaves room for samples which none of the observed ones resembles."""
    perfect, _ = binomial_interval(count, count)
    return [min(low, perfect), max(high, 1 - perfect)]
