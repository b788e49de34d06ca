"""Comparison of an attack with its prior alone: an attack that ends farther from the truth has failed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, Tensor

# Smaller differences, relative to the prior's error, are rounding errors of an attack that never left its prior.
_MARGIN = 1e-3


@dataclass(frozen=True)
class PriorComparison:
    """Errors of reconstructions minus those of the prior for the same images.

    Args:
        prior: The prior: `start` (the public images from which the search started) or `mean image` (the mean auxiliary
            image).
        mse: Mean squared error of the prior alone, pixels in [0, 1].
        difference: Mean over the images of the attack's error minus the prior's; negative means that the attack is
            closer.
        interval: 95 % bootstrap interval of that mean over the images, `[low, high]`.
        failed: Whether the attack ended worse than its prior: the whole interval is above zero.
    """

    prior: str
    mse: float
    difference: float
    interval: tuple[float, float]
    failed: bool


def compare_with_prior(
    errors: "Tensor", prior_errors: "Tensor", *, prior: str, resamples: int, generator: "Generator"
) -> PriorComparison:
    """Compare the errors of reconstructions with those of the prior, image by image.

    Args:
        errors: Mean squared errors of the reconstructions, `[n]`, n at least 1.
        prior_errors: Mean squared errors of the prior for the same images, `[n]`.
        prior: Name of the prior; see `PriorComparison`.
        resamples: Number of bootstrap resamples.
        generator: Source of the resamples.

    Returns:
        The paired difference with its interval.
    """
    # Imported late because a program that only reads metrics needs no torch.
    from palimpsest.metrics.bootstrap import bootstrap_intervals

    differences = errors.double() - prior_errors.double()
    ends = bootstrap_intervals(differences[:, None], resamples=resamples, generator=generator)[0]
    low, high = float(ends[0]), float(ends[1])
    floor = float(prior_errors.double().mean())
    return PriorComparison(prior, floor, float(differences.mean()), (low, high), failed=low > _MARGIN * floor)
