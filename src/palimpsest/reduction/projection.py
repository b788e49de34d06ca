"""Centered truncated SVD of gradient differences (IGF, section 3.2, Eqs. 4 and 5)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Generator, Tensor

from palimpsest.errors import ConfigurationError
from palimpsest.reduction.centered_rows import CenteredRows
from palimpsest.reduction.krylov import leading_eigenvectors
from palimpsest.reduction.matmul import matmul_transposed
from palimpsest.storage import Record
from palimpsest.system.memory import DEFAULT_BUDGET

# Number of directions that block Krylov iteration computes beyond `components`, so that the last ones converge sooner,
# and the width of its block if `components` is None.
_OVERSAMPLING, _BLOCK = 8, 256
# Usual number of passes of the iteration over the vectors; each pass multiplies twice.
_PASSES = 3
# On a Gram matrix, the iteration beats a full decomposition if it computes less than a sixth of the directions.
_FULL_SHARE = 6
# Bytes per element of a Gram matrix: the matrix, its eigenvectors and the decomposition's workspace, in float64.
_GRAM_BYTES = 4 * 8
# Number of copies of long directions that are in memory at once.
_COPIES = 3


@dataclass(frozen=True)
class Projection(Record):
    """Projection that the auditor fits to the gradient differences of its own samples; see `fit_projection`.

    Args:
        mean: Mean mu of the vectors that the projection was fitted to, `[d]`.
        basis: First k right singular vectors of the centered matrix as orthonormal columns, `[d, k]`.
        singular_values: The k largest singular values, `[k]`.
        explained: Cumulative share of the total variance that the first directions explain, `[k]`.

    Example:
        >>> import torch
        >>> import palimpsest as pp
        >>> vectors = torch.randn(20, 50, generator=torch.Generator().manual_seed(0))
        >>> projection = pp.fit_projection(vectors, components=4, generator=torch.Generator().manual_seed(1))
        >>> projection.components
        4
        >>> projection.transform(vectors).shape
        torch.Size([20, 4])
    """

    mean: Tensor
    basis: Tensor
    singular_values: Tensor
    explained: Tensor

    @property
    def components(self) -> int:
        """Number k of directions."""
        return self.basis.shape[1]

    def transform(self, vectors: Tensor) -> Tensor:
        """Project vectors onto the basis.

        As in the paper, the vectors are not centered first. Training and attack share this function, so the constant
        shift `mean @ basis` is the same on both sides.

        Args:
            vectors: `[n, d]`.

        Returns:
            `[n, k]`.
        """
        return matmul_transposed(vectors.to(self.basis), self.basis.T)

    def __call__(self, vectors: Tensor) -> Tensor:
        """Call `transform`."""
        return self.transform(vectors)

    def add(self, result: Tensor, columns: Tensor, *, start: int, sign: int = 1) -> None:
        """Add the contribution of a range of columns to projections; see `Additive.add`."""
        rows = self.basis[start : start + columns.shape[1]].to(columns)
        result.add_(matmul_transposed(columns, rows.T), alpha=sign)


def fit_projection(
    vectors_or_chunks: Tensor | Iterable[Tensor],
    *,
    explained_variance: float = 0.95,
    components: int | None = None,
    directions: bool = False,
    memory_budget: int = DEFAULT_BUDGET,
    generator: Generator,
) -> Projection:
    """Center vectors and keep the fewest singular directions that explain enough variance (IGF, Eqs. 4 and 5).

    The smaller Gram matrix (m x m or d x d) is decomposed, whose eigenvalues are the squared singular values. If
    `components` is small, block Krylov iteration computes only these directions. It runs on the vectors instead if that
    costs less or the Gram matrix exceeds the memory budget. The total variance is exact in all cases.

    Args:
        vectors_or_chunks: Vectors `[m, d]`, m at least 2, or an iterable of chunks of its rows.
        explained_variance: Share nu of the variance to keep, in (0, 1].
        components: Maximum number of directions to keep. If omitted, there is no limit.
        directions: If true, each vector is scaled to length one first, without a copy of the matrix.
        memory_budget: Bytes that the computation may use beyond the vectors; 4 GiB by default.
        generator: Draws the start of the iteration.

    Returns:
        The projection.

    Raises:
        ConfigurationError: `explained_variance` is outside of (0, 1], `components` is below 1, there are fewer than two
            vectors, or they are not finite float32 matrices.
        ResourceError: The directions do not fit the budget.

    Example:
        >>> import torch
        >>> import palimpsest as pp
        >>> generator = torch.Generator().manual_seed(0)
        >>> pp.fit_projection(torch.randn(20, 50, generator=generator), components=4, generator=generator).components
        4
    """
    vectors = _validated(vectors_or_chunks, explained_variance, components)
    rows = CenteredRows.of(vectors, directions=directions)
    implicit = _better_without_gram(*rows.shape, components, memory_budget)
    if implicit:
        total = rows.variance()
        target_sum = explained_variance * total
        eigenvalues, eigenvectors = _iterate(rows, components, target_sum, memory_budget, generator)
    else:
        total, eigenvalues, eigenvectors = _decompose(rows, components, memory_budget, generator)
    k, explained = _count_components(eigenvalues, total, explained_variance, components, min(rows.shape))
    values, basis = eigenvalues[:k].sqrt().float(), eigenvectors[:, :k].float()
    if rows.wide:
        left = basis / values.clamp_min(torch.finfo(torch.float32).eps)
        basis = _right_vectors_implicit(left, rows, memory_budget) if implicit else _right_vectors(left, rows)
    return Projection(
        mean=rows.mean,
        basis=basis.contiguous(),
        singular_values=values,
        explained=explained[:k].float().contiguous(),
    )


def _validated(
    vectors_or_chunks: Tensor | Iterable[Tensor], explained_variance: float, components: int | None
) -> Tensor:
    """Return the vectors as one matrix; see `fit_projection` for the errors."""
    if not 0 < explained_variance <= 1:
        raise ConfigurationError(
            f"explained_variance is {explained_variance}. It must be above 0 and at most 1."
        )
    if components is not None and components < 1:
        raise ConfigurationError(f"components is {components}. It must be at least 1, or omitted.")
    is_tensor = isinstance(vectors_or_chunks, Tensor)
    chunks = [vectors_or_chunks] if is_tensor else list(cast("Iterable[object]", vectors_or_chunks))
    for chunk in chunks:
        # Callers without a type checker pass arrays or lists of numbers by mistake.
        if not isinstance(chunk, Tensor) or chunk.dtype != torch.float32 or chunk.ndim != 2:
            found = (
                f"{chunk.dtype} of shape {tuple(chunk.shape)}" if isinstance(chunk, Tensor) else type(chunk)
            )
            raise ConfigurationError(
                f"The vectors must be a float32 tensor [m, d], or chunks of its rows, not {found}. Convert them first."
            )
    tensors = cast("list[Tensor]", chunks)
    if len({chunk.shape[1] for chunk in tensors}) > 1:
        raise ConfigurationError("The chunks have rows of different lengths. Pass rows of one matrix.")
    count = sum(map(len, tensors))
    if count < 2:
        raise ConfigurationError(
            f"A projection can't be fitted to {count} vectors, which have no variance. Pass at least two."
        )
    for chunk in tensors:
        # Both extremes are finite exactly if all values are, because NaN propagates. Unlike `isfinite`, and a sum in
        # float64, this makes no copy.
        if chunk.numel() and not all(math.isfinite(extreme) for extreme in torch.aminmax(chunk)):
            raise ConfigurationError("The vectors contain NaN or infinity. Leave these rows out.")
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)


def _better_without_gram(count: int, dimension: int, components: int | None, memory_budget: int) -> bool:
    """Return True if the Gram matrix exceeds the budget or costs more multiplications than passes over the vectors."""
    smaller, vectors = min(count, dimension), count * dimension
    if _GRAM_BYTES * smaller**2 > memory_budget:
        return True
    if components is None:
        return False
    # Only one half of the Gram matrix of the rows is computed.
    gram = vectors * smaller // (2 if dimension >= count else 1)
    return 2 * _PASSES * vectors * (components + _OVERSAMPLING) < gram


def _iterate(
    rows: CenteredRows, components: int | None, target_sum: float, memory_budget: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Compute the leading eigenvalues and eigenvectors of the smaller Gram matrix without forming the matrix."""
    count, dimension = rows.shape
    width = min(count, dimension, components + _OVERSAMPLING if components else _BLOCK)
    chunk = _max_directions(dimension, memory_budget)

    def multiply_short(directions: Tensor) -> Tensor:
        return rows.transposed_times(rows.times(directions.T.contiguous())).T

    def multiply_long(weights: Tensor) -> Tensor:
        products = (rows.times(rows.transposed_times(columns)) for columns in weights.split(chunk, 1))
        return torch.cat(list(products), 1)

    if dimension < count:
        multiply, start = multiply_short, torch.randn(dimension, width, generator=generator)
    else:
        sizes = (min(chunk, width - first) for first in range(0, width, chunk))
        random_directions = (torch.randn(size, dimension, generator=generator) for size in sizes)
        # Half of a pass moves the start closer to the leading directions.
        multiply, start = (
            multiply_long,
            torch.cat([rows.times(directions) for directions in random_directions], 1),
        )
    return leading_eigenvectors(
        multiply, start, components=components, target_sum=target_sum, memory_budget=memory_budget
    )


def _max_directions(dimension: int, memory_budget: int) -> int:
    """Return the number of directions of d numbers that are multiplied at once; at least one."""
    return max(1, memory_budget // (_COPIES * 4 * dimension))


def _decompose(
    rows: CenteredRows, components: int | None, memory_budget: int, generator: Generator
) -> tuple[float, Tensor, Tensor]:
    """Return trace, leading eigenvalues (in descending order) and eigenvectors of the smaller Gram matrix."""
    gram = rows.row_gram() if rows.wide else rows.column_gram()
    total, width = float(gram.trace()), (components or len(gram)) + _OVERSAMPLING
    if width * _FULL_SHARE > len(gram):
        eigenvalues, vectors = torch.linalg.eigh(gram)
        return total, eigenvalues.flip(0).clamp_min(0), vectors.flip(1)
    start = torch.randn(len(gram), width, dtype=gram.dtype, generator=generator)
    return total, *leading_eigenvectors(
        gram.__matmul__, start, components=components, memory_budget=memory_budget
    )


def _count_components(
    eigenvalues: Tensor, total: float, share: float, components: int | None, size: int
) -> tuple[int, Tensor]:
    """Return the number of directions to keep, and the cumulative share of the variance that they explain."""
    explained = eigenvalues.cumsum(0) / total if total > 0 else torch.ones_like(eigenvalues)
    # Rounding can leave the last sums slightly below the share that they should reach.
    sufficient = int((explained < share - 1e-12).sum()) + 1
    # Blocks are multiplied in float32, so smaller eigenvalues are rounding errors and their directions noise.
    significant = int((eigenvalues > eigenvalues[0] * 1e-7 * size**0.5).sum())
    return min(sufficient, components or sufficient, max(1, significant)), explained


def _right_vectors(left: Tensor, rows: CenteredRows) -> Tensor:
    """Compute the right singular vectors `[d, k]` from the left ones divided by their singular values, `[m, k]`."""
    basis = torch.empty(rows.shape[1], left.shape[1])
    for block, centered in rows.columns():
        basis[block] = matmul_transposed(centered.T, left.T)
    return basis


def _right_vectors_implicit(left: Tensor, rows: CenteredRows, memory_budget: int) -> Tensor:
    """Compute the right singular vectors without a copy of the rows.

    They are orthonormalized again, since rounding errors are larger here.
    """
    chunk = _max_directions(rows.shape[1], memory_budget)
    basis = torch.cat([rows.transposed_times(columns) for columns in left.split(chunk, 1)])
    # The ridge keeps directions without variance at zero.
    inner_products = (basis @ basis.T).double() + 1e-6 * torch.eye(len(basis))
    lower = torch.linalg.cholesky(inner_products)
    return torch.linalg.solve_triangular(lower.float(), basis, upper=False).T.contiguous()
