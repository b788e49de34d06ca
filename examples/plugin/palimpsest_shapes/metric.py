"""A metric: are the outlines in the right place?"""

from torch import Tensor

from palimpsest.metrics import Metric


class EdgeError(Metric):
    """The mean squared error of differences between neighboring pixels: blind to brightness."""

    label = "Edge error"
    meaning = "mean squared error of the differences between neighboring pixels"
    better = "low"

    def __call__(self, reconstructions: Tensor, originals: Tensor) -> Tensor:
        """See `Metric`."""
        wrong = reconstructions.double() - originals.double()
        down, right = (wrong.diff(dim=side).square().flatten(1).mean(1) for side in (2, 3))
        return (down + right) / 2
