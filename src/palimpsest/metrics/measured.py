"""Scores with their uncertainty."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.metrics.bootstrap import bootstrap_intervals
from palimpsest.metrics.comparison import Comparison, compare
from palimpsest.metrics.perceptual import Network


@dataclass(frozen=True)
class Measured(Comparison):
    """Scores of reconstructions, and how far their means can be trusted."""

    intervals: dict[str, list[float]]
    """95 % bootstrap interval `[low, high]` of each mean, by score."""


def measure(
    reconstructions: Tensor,
    originals: Tensor,
    *,
    lpips_network: Network = "alex",
    metrics: Sequence[str] = (),
    bootstrap: int = 1000,
    generator: Generator,
) -> Measured:
    """Score each reconstruction against its original, and resample the images for intervals.

    Args:
        reconstructions: `[n, c, h, w]` in [0, 1].
        originals: The same shape and order.
        lpips_network: Whose features LPIPS compares.
        metrics: Further metrics, by their names in `METRICS`.
        bootstrap: Resamples behind each interval.
        generator: Where the resamples come from.
    """
    compared = compare(reconstructions, originals, lpips_network=lpips_network, metrics=metrics)
    columns = compared.columns()
    ends = bootstrap_intervals(
        torch.stack(list(columns.values()), dim=1), resamples=bootstrap, generator=generator
    )
    return Measured(**vars(compared), intervals=dict(zip(columns, ends.tolist(), strict=True)))
