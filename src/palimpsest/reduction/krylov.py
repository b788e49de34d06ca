"""Block Krylov iteration for the leading eigenvectors of a matrix that is available only through matmul.

The method is that of Musco and Musco 2015 (arXiv 1504.05477). All products are kept, so few are needed, and their
residual decides when the iteration stops.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from palimpsest.errors import ResourceError

Multiply = Callable[[Tensor], Tensor]
"""Multiplies columns `[s, l]` by a symmetric positive semidefinite s x s matrix."""

# Largest estimated share of the best directions' variance that the computed directions may miss. In comparisons, the
# estimate was half of the true share, which must stay below a thousandth.
_MAX_MISSING_SHARE = 3e-4
# Copies of a direction in memory: the direction, its product, and the memory to combine both.
_COPIES = 4


def leading_eigenvectors(
    multiply: Multiply,
    start: Tensor,
    *,
    components: int | None,
    target_sum: float = float("inf"),
    memory_budget: int,
) -> tuple[Tensor, Tensor]:
    """Compute the eigenvectors of the largest eigenvalues.

    The eigenvalues are Rayleigh quotients, which never exceed the true ones.

    Args:
        multiply: Multiplies columns by the matrix.
        start: Random columns `[s, l]`, where l is the number of columns that are multiplied at once. If `components` is
            given, l should be slightly larger.
        components: Number of eigenvectors to compute. If None, as many as it takes to reach `target_sum`.
        target_sum: Sum of eigenvalues to reach; only used if `components` is None.
        memory_budget: Bytes that the computation may use. If `components` is given and they do not suffice, the
            iteration restarts from the best columns.

    Returns:
        Eigenvalues `[k]` in float64 and in descending order, and their eigenvectors as columns `[s, k]`. k may exceed
        `components`.

    Raises:
        ResourceError: The directions do not fit the budget.
    """
    size, block_width = start.shape
    max_width = memory_budget // (_COPIES * start.dtype.itemsize * size)
    block, basis, products = start, start[:, :0], start[:, :0]
    while True:
        width = basis.shape[1] + block.shape[1]
        if width > max_width:
            raise ResourceError(
                f"{width:,} directions of {size:,} numbers do not fit the memory budget. Raise --memory-budget, "
                "or lower attack.components or attack.explained_variance."
            )
        block = _orthonormal(block, basis)
        product = multiply(block)
        basis, products = torch.cat([basis, block], 1), torch.cat([products, product], 1)
        block = product[:, : size - width]
        if not components and width < size and float((basis * products).sum()) < target_sum:
            continue
        inner_products = (basis.T @ products).double()
        values, rotation = torch.linalg.eigh((inner_products + inner_products.T) / 2)
        values, rotation = values.flip(0).clamp_min(0), rotation.flip(1).to(start)
        count = components or int((values.cumsum(0) < target_sum).sum()) + 1
        if (
            width == size
            or _missing_share(basis, products, values[:count], rotation[:, :count]) <= _MAX_MISSING_SHARE
        ):
            return values, basis @ rotation
        if components and width + block_width > max_width:
            # The next block must keep what the whole basis lacks: orthogonal to the best columns only, it would bring
            # back columns that were just removed, and the iteration might never end.
            block = block - basis @ (basis.T @ block)
            basis, products = basis @ rotation[:, :block_width], products @ rotation[:, :block_width]


def _missing_share(basis: Tensor, products: Tensor, values: Tensor, rotation: Tensor) -> float:
    """Estimate the missing share of the sum of eigenvalues: the first-order gain of the next products."""
    residual = products @ rotation - (basis @ rotation) * values.to(rotation)
    smallest = torch.finfo(torch.float64).tiny
    gains = residual.square().sum(0).double() / values.clamp_min(smallest)
    return float(gains.sum() / values.sum().clamp_min(smallest))


def _orthonormal(block: Tensor, basis: Tensor) -> Tensor:
    """Orthonormalize the columns of a block, orthogonally to those of the basis."""
    # The second pass removes the rounding errors of the first.
    for _ in range(2):
        block = torch.linalg.qr(block - basis @ (basis.T @ block)).Q
    return block
