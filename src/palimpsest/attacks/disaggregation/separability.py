"""Linear separability of activation patterns: could the forward pass of any sample make this pattern?"""

import torch
from torch import Tensor

_STEPS = 12
_RIDGE = 1e-4


def separable_share(active: Tensor, features: Tensor) -> Tensor:
    """Find how many units of a pattern a single sample can explain.

    A sample is a combination of the rows of the gradient's right factor, so its outputs are a combination of k known
    columns: the active units lie on one side of a hyperplane in k dimensions. A pattern of far more than 2 k units that
    comes from no sample does not (Cover 1965). The hyperplane is found by logistic regression with Newton's method.

    Args:
        active: Patterns, `[p, m]` bool.
        features: Outputs of the layer for each row of the right factor, `[m, k]`.

    Returns:
        Largest share of units on the correct side, `[p]`; 1 for the pattern of a sample, up to units near the border.
    """
    orthonormal = torch.linalg.qr(features).Q * len(features) ** 0.5
    signs = active.to(orthonormal) * 2 - 1
    count, factors = len(active), orthonormal.shape[1]
    normal = orthonormal.new_zeros(count, factors)
    best = orthonormal.new_zeros(count)
    ridge = _RIDGE * torch.eye(factors, dtype=orthonormal.dtype)
    for _ in range(_STEPS):
        margins = signs * (normal @ orthonormal.T)
        best = torch.maximum(best, (margins > 0).double().mean(dim=1))
        wrong = torch.sigmoid(-margins)
        slope = (wrong * signs) @ orthonormal / len(features) - _RIDGE * normal
        curvature = torch.einsum("pm,mi,mj->pij", wrong * (1 - wrong), orthonormal, orthonormal) / len(
            features
        )
        normal = normal + torch.linalg.solve(curvature + ridge, slope)
    return torch.maximum(best, (signs * (normal @ orthonormal.T) > 0).double().mean(dim=1))
