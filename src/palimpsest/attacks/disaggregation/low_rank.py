"""Low-rank factorization of a linear layer's gradient, with an estimate of its noise."""

from dataclasses import dataclass

import torch
from torch import Tensor

# A singular value counts if it exceeds this many times the largest one that noise alone would have.
_SIGNIFICANT = 4.0


@dataclass(frozen=True)
class LowRank:
    """Factors of the gradient of a linear layer with m units and n inputs: G = diag(noise) left right.

    The gradient of a batch is D X, with one column of D and one row of X for each sample. Its factors are determined up
    to an invertible matrix Q: D = diag(noise) left Q, and X = Q^-1 right (SPEAR, Theorem 3.1).

    Args:
        left: `[m, k]`. Its entries have noise of standard deviation 1.
        right: `[k, n]`, with orthonormal rows.
        noise: Standard deviation of the noise in each unit's gradient, `[m]`, above 0.
    """

    left: Tensor
    right: Tensor
    noise: Tensor

    @property
    def rank(self) -> int:
        """Number of factors, k."""
        return self.left.shape[1]


def factorize(gradient: Tensor, count: int) -> LowRank:
    """Factorize the gradient of a batch of `count` samples (SPEAR, Theorem 3.1).

    The gradient of exact numbers has rank `count`. The rest is noise, such as rounding to float32 or a defense's, and
    tells how large the noise of each unit is.

    Args:
        gradient: `[m, n]` float64.
        count: Number of samples, below m and n.

    Returns:
        The factors, with a smaller rank than `count` if samples are linearly dependent.
    """
    units, inputs = gradient.shape
    u, s, vh = _leading(gradient, count)
    rest = gradient - (u * s) @ vh
    variance = rest.square().sum(dim=1) / (inputs - count)
    # A subtracted gradient leaves errors along one image, which may lie along the others as well. The largest component
    # of the rest bounds them.
    largest, size, _ = _leading(rest, 1)
    noise = (variance + (size * largest[:, 0]).square()).sqrt()
    # A unit that no sample activates has no noise. The floor also covers gradients in exact arithmetic.
    typical = variance.mean().sqrt().clamp_min(torch.finfo(s.dtype).eps * s[0].clamp_min(1e-300))
    noise = noise.clamp_min(typical)
    rank = int((s > _SIGNIFICANT * typical * (units**0.5 + inputs**0.5)).sum())
    return LowRank((u[:, :rank] * s[:rank]) / noise[:, None], vh[:rank], noise)


def _leading(matrix: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the leading singular triplets, faster than all of them: `[m, count]`, `[count]` and `[count, n]`.

    The eigenvectors of the Gram matrix have half of the precision; a step of subspace iteration gives the other half.
    """
    if matrix.shape[0] > matrix.shape[1]:
        v, s, uh = _leading(matrix.T, count)
        return uh.T, s, v.T
    start = torch.linalg.eigh(matrix @ matrix.T).eigenvectors[:, -count:]
    basis = torch.linalg.qr(matrix.T @ start).Q
    u, s, vh = torch.linalg.svd(matrix @ basis, full_matrices=False)
    return u, s, vh @ basis.T


def outside_row_space(rows: Tensor, factors: LowRank) -> Tensor:
    """Measure how far vectors lie outside the row space of a gradient, which the inputs of its samples span.

    Args:
        rows: `[k, n]`.
        factors: Factors of the gradient.

    Returns:
        Norm of the part outside, relative to the norm of the vector, in [0, 1], `[k]`.
    """
    outside = rows - (rows @ factors.right.T) @ factors.right
    return outside.norm(dim=1) / rows.norm(dim=1).clamp_min(torch.finfo(rows.dtype).tiny)
