"""Metric of the error in the position of outlines."""

from torch import Tensor

from palimpsest.metrics import Metric


class EdgeError(Metric):
    """Mean squared error of the differences between neighboring pixels, which ignores brightness."""

    label = "Edge error"
    meaning = "mean squared error of the differences between neighboring pixels"
    better = "low"

    def __call__(self, reconstructions: Tensor, originals: Tensor) -> Tensor:
        """Compute the error of each image; see `Metric`."""
        error = reconstructions.double() - originals.double()
        down, right = (error.diff(dim=side).square().flatten(1).mean(1) for side in (2, 3))
        return (down + right) / 2
