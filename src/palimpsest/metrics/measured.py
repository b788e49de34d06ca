"""Scores of reconstructions with confidence intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Generator, Tensor

from palimpsest.metrics.comparison import Comparison, compare
from palimpsest.metrics.intervals import mean_intervals
from palimpsest.metrics.perceptual import Network


@dataclass(frozen=True)
class Measured(Comparison):
    """Scores of reconstructions, with an interval for each mean."""

    intervals: dict[str, list[float]]
    """95 % interval `[low, high]` of each mean over the images, by score; exact
    for shares, bootstrap for the others."""


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
        lpips_network: Network whose features LPIPS compares.
        metrics: Names of additional metrics in `METRICS`.
        bootstrap: Number of bootstrap resamples of each interval.
        generator: Source of the resamples.

    Returns:
        The scores of `compare`, with 95 % intervals of their means.

    Raises:
        ConfigurationError: A metric is unknown.
        DivergenceError: A metric did not return one finite number for each image.
    """
    compared = compare(reconstructions, originals, lpips_network=lpips_network, metrics=metrics)
    intervals = mean_intervals(compared.columns(), resamples=bootstrap, generator=generator)
    return Measured(**vars(compared), intervals=intervals)
