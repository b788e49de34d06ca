"""Intersection attack on many obfuscated proofs of one sample: find the direction that is orthogonal to all of them.

Under orthogonal obfuscation, each proof is, up to its length, a random unit vector p orthogonal to the true direction
u. The auditor works with the k coordinates of its reduction, y = B'p and v = B'u, with |v|^2 = rho. Over many proofs, y
has the covariance (I - v v') / d, so that

    -log p(v | y_1 ... y_n) = v' C v / (2 (1 - rho)) + (v - m)' L^-1 (v - m) / 2 + const,   C = d (y_1 y_1' + ... ),

where m and L are the mean and the covariance of the directions of the auditor's samples. Minimizing this over the
sphere |v|^2 = rho is a trust-region problem, whose global minimum can be computed exactly. The part of u outside of the
subspace acts as noise: without the prior, n must be well above k / rho^2.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_BISECTIONS = 200


@dataclass(frozen=True)
class DirectionPrior:
    """Gaussian prior of a sample's direction, in the coordinates of the reduction, from the auditor's samples.

    Args:
        mean: Mean of the directions, m, `[k]` float64.
        covariance: Covariance of the directions, L, `[k, k]` float64.
        inside: Mean squared length of a unit vector's coordinates, rho, in (0, 1).
    """

    mean: Tensor
    covariance: Tensor
    inside: float


def fit_direction_prior(directions: Tensor) -> DirectionPrior:
    """Compute the mean and the covariance of the directions of the auditor's samples.

    Args:
        directions: Coordinates `[m, k]` of unit vectors.

    Returns:
        The prior, with a small ridge on the covariance.
    """
    values = directions.double()
    centered = values - values.mean(0)
    covariance = centered.T @ centered / max(1, len(values) - 1)
    # The ridge keeps the covariance invertible when there are fewer samples than coordinates.
    ridge = 1e-3 * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
    inside = float(values.square().sum(1).mean().clamp(1e-6, 1 - 1e-6))
    return DirectionPrior(values.mean(0), covariance + ridge, inside)


def intersect(scatter: Tensor, prior: DirectionPrior) -> Tensor:
    """Find the most likely direction, given the scatter of the proofs.

    Args:
        scatter: C, the sum of d y y' over the coordinates of the proofs' directions, `[k, k]`; zeros without proofs.
        prior: Prior of the direction, from the auditor's samples.

    Returns:
        The direction v, `[k]` float64, with `|v|^2 = rho`.
    """
    precision = torch.linalg.inv(prior.covariance)
    quadratic = scatter.double() / (1 - prior.inside) + (precision + precision.T) / 2
    return minimize_on_sphere(quadratic, precision @ prior.mean, prior.inside**0.5)


def minimize_on_sphere(quadratic: Tensor, linear: Tensor, radius: float) -> Tensor:
    """Minimize v'Av / 2 - b'v over |v| = radius (Moré and Sorensen 1983).

    Args:
        quadratic: A, `[k, k]` float64, symmetric.
        linear: b, `[k]` float64.
        radius: Radius of the sphere, above 0.

    Returns:
        The point of the global minimum, `[k]`.
    """
    values, vectors = torch.linalg.eigh(quadratic)
    along = vectors.T @ linear
    # |v| decreases as the shift grows. At the upper bound, v is certainly too short.
    low = float(-values[0])
    high = low + float(linear.norm()) / radius + 1e-12
    for _ in range(_BISECTIONS):
        shift = (low + high) / 2
        if (along / (values + shift)).norm() > radius:
            low = shift
        else:
            high = shift
    coordinates = along / (values + high).clamp_min(torch.finfo(torch.float64).tiny)
    missing = radius**2 - float(coordinates[1:].square().sum())
    if coordinates.norm() < 0.999 * radius:
        # In the hard case, b has no component along the first eigenvector, and both signs give the minimum.
        coordinates[0] = max(missing, 0.0) ** 0.5
    return radius * torch.nn.functional.normalize(vectors @ coordinates, dim=0)
