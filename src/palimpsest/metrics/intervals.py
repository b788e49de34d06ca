"""Confidence intervals of mean scores: exact for shares, by bootstrap for the others."""

from collections.abc import Mapping

import torch
from torch import Generator, Tensor

from palimpsest.metrics.bootstrap import bootstrap_intervals
from palimpsest.metrics.rates import binomial_interval

_SHARES = "identification_"


def mean_intervals(
    scores: Mapping[str, Tensor], *, resamples: int, generator: Generator
) -> dict[str, list[float]]:
    """Compute the 95 % interval of each score's mean over the samples.

    A share of identified samples gets the exact interval that the rates have, so that one number has one interval.

    Args:
        scores: Scores by name, `[n]` each; those whose names begin with `identification_` are 0 or 1.
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
    return dict(zip(scores, ends.tolist(), strict=True)) | exact
