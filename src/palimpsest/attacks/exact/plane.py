"""Factorization of the last linear layer's gradient difference by the models' own predictions.

The layer's part of a proof is r [A, 1]^T - r' [A', 1]^T with the residuals r = softmax(W A + b) - y. Both rows [A, 1]
lie in the plane of the two right singular vectors, and there on the line of the points whose last coordinate is 1. Two
numbers remain, the positions of A and A' on this line, and 2 x classes equations for them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.exact.block import BOUNDS
from palimpsest.attacks.exact.chain import Chain

_TICKS, _STEPS, _CHUNK = 9, 25, 32
# Range of the positions if the activation does not bound them, in norms of the line's nearest point to the origin.
_REACH = 10.0
_TINY = 1e-300


def factorize_by_models(chain: Chain, target: Tensor) -> tuple[Tensor, Tensor]:
    """Find the inputs of the last linear layer whose predictions explain its part of a proof.

    Args:
        chain: Both models.
        target: The layer's part of the proofs, with the bias as the last column, `[n, classes, width + 1]` float64.

    Returns:
        The inputs at both models, `[n, 2, width]`, and the labels, `[n]`. They are meaningless, but finite, if the
        target does not have this form.
    """
    solved = [_factorize(chain, part) for part in target.split(_CHUNK)]
    features, labels = zip(*solved, strict=True)
    return torch.cat(features), torch.cat(labels)


@dataclass(frozen=True)
class _Line:
    """Candidates for [A, 1] in coordinates of the plane: `point + t * direction`, with t from `low` to `high`."""

    plane: Tensor
    left: Tensor
    point: Tensor
    direction: Tensor
    low: Tensor
    high: Tensor

    def rows(self, positions: Tensor) -> Tensor:
        """Compute the points, `[n, ..., 2]`, at positions `[n, ...]`."""
        shape = (len(positions), *[1] * (positions.dim() - 1), 2)
        return self.point.view(shape) + positions.unsqueeze(-1) * self.direction.view(shape)


def _factorize(chain: Chain, target: Tensor) -> tuple[Tensor, Tensor]:
    count, classes = target.shape[:2]
    line = _find_line(chain, target)
    ticks = torch.linspace(0.05, 0.95, _TICKS, dtype=torch.float64)
    grid = torch.cartesian_prod(ticks, ticks)
    low, width = line.low[:, None, None, None], (line.high - line.low)[:, None, None, None]
    shares = grid.expand(count, classes, -1, -1).clone()
    lifted = torch.einsum("mcw,nkw->nmkc", chain.weight, line.plane[..., :-1])
    onehot = torch.eye(classes, dtype=torch.float64)[None, :, None, None]

    def mismatch(shares: Tensor) -> Tensor:
        """Compute the error of the equations for each label and start, `[n, labels, starts, 2 classes]`."""
        rows = line.rows(low + width * shares)
        logits = torch.einsum("nlsmk,nmkc->nlsmc", rows, lifted) + chain.bias
        residuals = logits.softmax(4) - onehot
        products = residuals.unsqueeze(5) * rows.unsqueeze(4)
        return (products[:, :, :, 0] - products[:, :, :, 1] - line.left[:, None, None]).flatten(3)

    shares, errors = _levenberg_marquardt(mismatch, shares)
    losses = errors.norm(dim=3).nan_to_num(torch.inf, torch.inf, torch.inf).flatten(1)
    best = losses.argmin(1)
    chosen = shares.flatten(1, 2)[torch.arange(count), best]
    rows = line.rows(low[:, 0, 0] + width[:, 0, 0] * chosen)
    return (rows @ line.plane)[..., :-1].nan_to_num(0.0, 0.0, 0.0), best // len(grid)


def _find_line(chain: Chain, target: Tensor) -> _Line:
    """Find the plane, the line in it, and the part of the line on which all inputs are outputs of the activation."""
    left, scale, right = torch.linalg.svd(target, full_matrices=False)
    left, plane = left[..., :2] * scale[:, None, :2], right[:, :2]
    end = plane[..., -1]
    norm = end.norm(dim=1, keepdim=True).clamp_min(_TINY)
    point, direction = end / norm.square(), torch.stack([-end[:, 1], end[:, 0]], 1) / norm
    start, slope = ((coordinates.unsqueeze(1) @ plane)[:, 0, :-1] for coordinates in (point, direction))
    lowest, highest = BOUNDS.get(chain.activation(len(chain.blocks)), (-torch.inf, torch.inf))
    ends = torch.stack([(lowest - start) / slope, (highest - start) / slope])
    reach = _REACH * (1 + start.norm(dim=1)) / slope.norm(dim=1).clamp_min(_TINY)
    low = ends.amin(0).nan_to_num(-torch.inf).amax(1).maximum(-reach)
    high = ends.amax(0).nan_to_num(torch.inf).amin(1).minimum(reach)
    # Rounding or a proof of another form can leave no such part.
    empty = low >= high
    return _Line(
        plane, left, point, direction, torch.where(empty, -reach, low), torch.where(empty, reach, high)
    )


def _levenberg_marquardt(mismatch: Callable[[Tensor], Tensor], at: Tensor) -> tuple[Tensor, Tensor]:
    """Minimize the squared mismatch over two numbers, `[..., 2]`, from each start.

    Returns:
        The numbers and their mismatch.
    """
    step, axes = 1e-6, torch.eye(2, dtype=torch.float64)
    damping, error = torch.full_like(at[..., :1], 1e-3), mismatch(at)
    for _ in range(_STEPS):
        jacobian = torch.stack([(mismatch(at + step * axis) - error) / step for axis in axes], -1)
        square = jacobian.mT @ jacobian
        square = square + torch.diag_embed(damping * square.diagonal(dim1=-2, dim2=-1) + _TINY)
        slope = (jacobian.mT @ error.unsqueeze(-1)).squeeze(-1)
        tried_at = at - _solve_2x2(square, slope)
        tried = mismatch(tried_at)
        better = tried.norm(dim=-1, keepdim=True) < error.norm(dim=-1, keepdim=True)
        at, error = torch.where(better, tried_at, at), torch.where(better, tried, error)
        damping = torch.where(better, damping / 4, damping * 8).clamp(1e-9, 1e6)
    return at, error


def _solve_2x2(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Solve 2 x 2 systems; a singular one gives no finite solution, which the caller then rejects."""
    (a, b), (c, d) = matrices[..., 0, :].unbind(-1), matrices[..., 1, :].unbind(-1)
    x, y = vectors.unbind(-1)
    return torch.stack([d * x - b * y, a * y - c * x], -1) / (a * d - b * c).unsqueeze(-1)
