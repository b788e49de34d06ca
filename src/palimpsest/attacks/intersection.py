"""Many obfuscated proofs of one sample: what they are all orthogonal to.

Every proof under orthogonal obfuscation is, up to its length, a random unit vector p orthogonal to the true direction
u. Of both the auditor sees the reduction's k coordinates, y = B'p and v = B'u, with |v|^2 = rho. Over many proofs
y has covariance (I - v v') / d, so that

    -log p(v | y_1 ... y_n) = v' C v / (2 (1 - rho)) + (v - m)' L^-1 (v - m) / 2 + const,   C = d (y_1 y_1' + ... ),

where m and L are the mean and the covariance of the auditor's own samples' directions. The least value on the sphere
|v|^2 = rho solves a trust-region problem, whose solution is global and exact. The part of u outside of the subspace
acts as noise: without the prior, n has to be well over k / rho^2.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

_BISECTIONS = 200


@dataclass(frozen=True)
class DirectionPrior:
    """What the auditor's own samples say about a direction, in the reduction's coordinates.

    Args:
        mean: `[k]` float64.
        covariance: `[k, k]` float64.
        inside: Mean squared length of a unit vector's coordinates, rho, in (0, 1).
    """

    mean: Tensor
    covariance: Tensor
    inside: float


def fit_direction_prior(directions: Tensor) -> DirectionPrior:
    """Mean and covariance of the own samples' directions.

    Args:
        directions: Coordinates `[m, k]` of vectors of length one.
    """
    values = directions.double()
    centred = values - values.mean(0)
    covariance = centred.T @ centred / max(1, len(values) - 1)
    # As little as keeps it invertible where there are fewer samples than directions.
    ridge = 1e-3 * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
    inside = float(values.square().sum(1).mean().clamp(1e-6, 1 - 1e-6))
    return DirectionPrior(values.mean(0), covariance + ridge, inside)


def intersect(scatter: Tensor, prior: DirectionPrior) -> Tensor:
    """The likeliest direction, given the proofs' scatter.

    Args:
        scatter: C, the sum of d y y' over the proofs' directions' coordinates, `[k, k]`; zeros for none.
        prior: What the auditor's own samples say.

    Returns:
        v, `[k]` float64, with `|v|^2 = rho`.
    """
    precision = torch.linalg.inv(prior.covariance)
    quadratic = scatter.double() / (1 - prior.inside) + (precision + precision.T) / 2
    return minimise_on_sphere(quadratic, precision @ prior.mean, prior.inside**0.5)


def minimise_on_sphere(quadratic: Tensor, linear: Tensor, radius: float) -> Tensor:
    """The least of v'Av / 2 - b'v over |v| = radius (Moré and Sorensen 1983).

    Args:
        quadratic: A, `[k, k]` float64, symmetric.
        linear: b, `[k]` float64.
        radius: Above 0.

    Returns:
        The global minimum, `[k]`.
    """
    values, vectors = torch.linalg.eigh(quadratic)
    along = vectors.T @ linear
    # |v| falls with the shift: the largest shift at which b alone would be too short, and one that is surely too large.
    low = float(-values[0])
    high = low + float(linear.norm()) / radius + 1e-12
    for _ in range(_BISECTIONS):
        shift = (low + high) / 2
        if (along / (values + shift)).norm() > radius:
            low = shift
        else:
            high = shift
    coordinates = along / (values + high).clamp_min(torch.finfo(torch.float64).tiny)
    left = radius**2 - float(coordinates[1:].square().sum())
    if coordinates.norm() < 0.999 * radius:
        # The hard case: b has nothing along the first eigenvector, and either sign is as good.
        coordinates[0] = max(left, 0.0) ** 0.5
    return radius * torch.nn.functional.normalize(vectors @ coordinates, dim=0)
