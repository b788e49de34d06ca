"""Leading eigenvectors of a matrix that is only multiplied with: block Krylov iteration.

Musco and Musco 2015 (arXiv 1504.05477). Every product is kept, so that few are needed, and their residual decides when
to stop.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from palimpsest.errors import ResourceError

Multiply = Callable[[Tensor], Tensor]
"""From columns `[s, l]` to their products with a symmetric s x s matrix without negative eigenvalues."""

# Largest estimated share of the best directions' variance that the computed ones miss. In comparisons the estimate was
# half of the true share, and a thousandth is promised.
_MISSED = 3e-4
# The directions, their products, and the memory to combine them.
_COPIES = 4


def leading_eigenvectors(
    multiply: Multiply,
    start: Tensor,
    *,
    components: int | None,
    enough: float = float("inf"),
    memory_budget: int,
) -> tuple[Tensor, Tensor]:
    """The eigenvectors of the largest eigenvalues; these are Rayleigh quotients, which never exceed the true ones.

    Args:
        multiply: Multiplies with the matrix.
        start: Random columns `[s, l]`, as many as are multiplied at once; a few more than `components`, if given.
        components: How many eigenvectors to compute. If omitted, as many as reach the sum `enough`.
        enough: The sum of eigenvalues to reach.
        memory_budget: Bytes that the work may take. If it is short, only the best columns are kept at each restart.

    Returns:
        Eigenvalues `[k]` float64, falling, and their eigenvectors as columns `[s, k]`; k may exceed `components`.

    Raises:
        ResourceError: The directions do not fit the budget.
    """
    size, width = start.shape
    most = memory_budget // (_COPIES * start.dtype.itemsize * size)
    block, basis, images = start, start[:, :0], start[:, :0]
    while True:
        held = basis.shape[1] + block.shape[1]
        if held > most:
            raise ResourceError(
                f"{held:,} directions of {size:,} numbers do not fit the memory budget: raise --memory-budget, "
                "or lower attack.components or attack.explained_variance."
            )
        block = _orthonormal(block, basis)
        image = multiply(block)
        basis, images = torch.cat([basis, block], 1), torch.cat([images, image], 1)
        block = image[:, : size - held]
        if not components and held < size and float((basis * images).sum()) < enough:
            continue
        inner = (basis.T @ images).double()
        values, turn = torch.linalg.eigh((inner + inner.T) / 2)
        values, turn = values.flip(0).clamp_min(0), turn.flip(1).to(start)
        wanted = components or int((values.cumsum(0) < enough).sum()) + 1
        if held == size or _missed(basis, images, values[:wanted], turn[:, :wanted]) <= _MISSED:
            return values, basis @ turn
        if components and held + width > most:
            basis, images = basis @ turn[:, :width], images @ turn[:, :width]


def _missed(basis: Tensor, images: Tensor, values: Tensor, turn: Tensor) -> float:
    """The estimated share of the eigenvalues' sum that is missing: the first-order gain of the next products."""
    residual = images @ turn - (basis @ turn) * values.to(turn)
    smallest = torch.finfo(torch.float64).tiny
    gains = residual.square().sum(0).double() / values.clamp_min(smallest)
    return float(gains.sum() / values.sum().clamp_min(smallest))


def _orthonormal(block: Tensor, basis: Tensor) -> Tensor:
    """Orthonormal columns, orthogonal to those of the basis."""
    for _ in range(2):  # once leaves rounding of the size of what was subtracted, twice is enough
        block = torch.linalg.qr(block - basis @ (basis.T @ block)).Q
    return block
