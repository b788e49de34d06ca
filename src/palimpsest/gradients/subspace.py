"""The leading directions of many rows without their Gram matrix: subspace iteration over the rows themselves.

Halko, Martinsson and Tropp 2011, algorithm 4.4. What a direction captures is measured, not estimated, and the rows'
whole variance is exact: so is the share that is told, whatever directions were found.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from palimpsest.errors import ResourceError
from palimpsest.gradients.products import product

Pull = Callable[[Tensor], Tensor]
"""From directions `[l, d]` to their products with the d x d covariance of the centred rows, times their number."""

OVERSAMPLING, PASSES = 64, 4
"""Directions beside those that are wanted, and passes: the captured variance comes within 0.1 % of the best on a
spectrum that falls as slowly as gradients' do."""
# Directions that are looked for at first where nobody says how many; then twice as many.
_FIRST = 256
# The span, its product, and what orthonormalising takes.
_COPIES = 5


def leading_directions(
    vectors: Tensor,
    scale: Tensor,
    mean: Tensor,
    *,
    components: int | None,
    share: float,
    memory_budget: int,
    generator: Generator,
) -> tuple[Tensor, Tensor, float]:
    """The directions in which scaled and centred rows vary most.

    Args:
        vectors: `[m, d]`.
        scale: What each row is multiplied by, `[m]`.
        mean: Mean of the scaled rows, `[d]`.
        components: How many are wanted; none for as many as capture the share.
        share: Of the variance, in (0, 1].
        memory_budget: Bytes that the work may take.
        generator: Where it starts.

    Returns:
        Squared singular values `[l]` float64, falling; the directions, rows `[l, d]`; and the sum of all squared
        singular values.

    Raises:
        ResourceError: The directions do not fit the budget.
    """
    count, dimension = vectors.shape
    rows = max(1, min(1024, memory_budget // (16 * dimension)))
    blocks = list(zip(vectors.split(rows), scale.split(rows), strict=True))

    def pull(span: Tensor) -> Tensor:
        result, shift, sums = torch.zeros_like(span), span @ mean, torch.zeros(len(span))
        for few, lengths in blocks:
            weights = product(few, span) * lengths[:, None] - shift
            result += product((weights * lengths[:, None]).T.contiguous(), few.T)
            sums += weights.sum(0)
        return result - sums[:, None] * mean

    total = sum(float((few * lengths[:, None] - mean).double().square().sum()) for few, lengths in blocks)
    most = min(count, dimension)
    width = min(most, components + OVERSAMPLING if components else _FIRST)
    span = torch.empty(0, dimension)
    while True:
        if _COPIES * 4 * width * dimension > memory_budget:
            raise ResourceError(
                f"{width:,} directions of {dimension:,} numbers do not fit the memory budget: raise --memory-budget, "
                "or lower attack.components or attack.explained_variance."
            )
        more = torch.randn(width - len(span), dimension, generator=generator)
        squares, span = iterate(pull, torch.cat([span, more]))
        if components or width == most or squares.sum() >= share * total:
            return squares, span, total
        width = min(most, 2 * width)


def iterate(pull: Pull, span: Tensor) -> tuple[Tensor, Tensor]:
    """Turn directions towards the leading ones; what they capture `[l]` float64, falling, and they `[l, d]`.

    Args:
        pull: See `Pull`.
        span: Where to start, `[l, d]`.
    """
    for _ in range(PASSES):
        span = torch.linalg.qr(pull(span).T).Q.T.contiguous()
    captured = product(pull(span), span).double()
    squares, turn = torch.linalg.eigh((captured + captured.T) / 2)
    return squares.flip(0).clamp_min(0), turn.flip(1).T.float() @ span
