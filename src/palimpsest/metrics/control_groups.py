"""Control groups: the same attack on gradient differences of samples that were not to be forgotten."""

from typing import TYPE_CHECKING

from palimpsest.metrics.schema_parts import Interval, Part

if TYPE_CHECKING:
    from torch import Generator, Tensor


class ControlGroupMetrics(Part):
    """Scores of the attack on the gradient differences of one group, compared with the forgotten samples."""

    count: int
    """Number of samples; a larger number gives a narrower interval."""
    same_classes: bool
    """Whether the samples were chosen from the classes of the forgotten ones."""
    identified: float
    """Share of the samples that the attack identifies among those of the group (top-1), in [0, 1]."""
    interval: Interval
    """Exact 95 % interval of that share, `[low, high]`."""
    chance: float
    """Expected share of a random guess, in [0, 1]."""
    mse: float
    """Mean squared error, pixels in [0, 1]; lower means closer."""
    mse_interval: Interval
    """95 % bootstrap interval of that error over the samples, `[low, high]`."""
    difference: float
    """Error on the forgotten samples minus error on this group; below 0, the forgotten ones are reconstructed more
    closely."""
    difference_interval: Interval
    """95 % bootstrap interval of that difference over both groups, `[low, high]`; the samples are not paired."""

    @property
    def closer(self) -> bool:
        """Whether the forgotten samples are reconstructed more closely: the whole interval is below zero."""
        return self.difference_interval[1] < 0

    @property
    def farther(self) -> bool:
        """Whether the forgotten samples are reconstructed less closely: the whole interval is above zero."""
        return self.difference_interval[0] > 0


def score_control_group(
    images: "Tensor",
    originals: "Tensor",
    forgotten_errors: "Tensor",
    *,
    same_classes: bool,
    resamples: int,
    generator: "Generator",
) -> ControlGroupMetrics:
    """Score the attack on a control group, and compare it with the attack on the forgotten samples.

    Args:
        images: Reconstructions, `[n, c, h, w]` in [0, 1].
        originals: The samples of the group, in the same shape and order.
        forgotten_errors: Mean squared errors of the forgotten samples' reconstructions, `[m]`.
        same_classes: Whether the group has the classes of the forgotten samples.
        resamples: Number of bootstrap resamples.
        generator: Source of the resamples.

    Returns:
        The scores and the difference.
    """
    # Imported late because a program that only reads metrics needs no torch.
    from palimpsest.metrics.bootstrap import bootstrap_difference, bootstrap_intervals
    from palimpsest.metrics.identification import right_ranks
    from palimpsest.metrics.image_metrics import mean_squared_errors
    from palimpsest.metrics.rates import binomial_interval

    images = images.to(originals).clamp(0, 1)
    errors = mean_squared_errors(images, originals)
    low, high = bootstrap_intervals(errors[:, None], resamples=resamples, generator=generator)[0].tolist()
    identified = int((right_ranks(images, originals) == 1).sum())
    mean = float(errors.mean())
    return ControlGroupMetrics(
        count=len(errors),
        same_classes=same_classes,
        identified=identified / len(errors),
        interval=binomial_interval(identified, len(errors)),
        chance=1 / len(errors),
        mse=mean,
        mse_interval=(low, high),
        difference=float(forgotten_errors.double().mean()) - mean,
        difference_interval=bootstrap_difference(
            forgotten_errors, errors, resamples=resamples, generator=generator
        ),
    )
