"""Gaussian prior of images, from the covariance of auxiliary images within their classes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.errors import DatasetError


@dataclass(frozen=True)
class GaussianPrior:
    """Covariance of samples of one class, as its eigenvectors; classes differ in their means only.

    Args:
        scaled: Eigenvectors times the square roots of their eigenvalues, `[r, p]` float64, one row each.
        variances: Eigenvalues, `[r]` float64, positive, in descending order.
    """

    scaled: Tensor
    variances: Tensor

    @property
    def error(self) -> float:
        """Mean squared error per coordinate of always answering with the mean of the correct class."""
        return float(self.variances.sum()) / self.scaled.shape[1]


def fit_prior(samples: Tensor, labels: Tensor) -> GaussianPrior:
    """Fit the covariance within classes, pooled over the classes.

    An attacker that knows the label, which a proof often reveals, has at least this prior. If there are fewer samples
    than coordinates, the prior is degenerate: directions without variance count as known to the attacker.

    Args:
        samples: `[m, ...]`, flattened to p coordinates.
        labels: Class of each sample, `[m]` int64.

    Returns:
        The prior. Its eigenvalues add up to the pooled, unbiased variance.

    Raises:
        DatasetError: No class has two different samples.
    """
    flat = samples.flatten(1).double()
    classes, rows = labels.unique(return_inverse=True)
    sums = torch.zeros(len(classes), flat.shape[1], dtype=torch.float64).index_add_(0, rows, flat)
    centered = flat - (sums / rows.bincount()[:, None])[rows]
    freedom = len(flat) - len(classes)
    if freedom < 1 or not centered.any():
        raise DatasetError(
            f"The {len(flat)} samples of {len(classes)} classes have no variance within their classes. Pass more."
        )
    _, scales, directions = torch.linalg.svd(centered / freedom**0.5, full_matrices=False)
    kept = scales > 1e-9 * scales[0]
    return GaussianPrior(directions[kept] * scales[kept, None], scales[kept].square())
