"""Centered truncated SVD of gradient differences (IGF, section 3.2, Eqs. 4 and 5)."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.errors import ConfigurationError
from palimpsest.reduction.centered_rows import CenteredRows
from palimpsest.reduction.krylov import leading_eigenvectors
from palimpsest.reduction.matmul import matmul_transposed
from palimpsest.storage import Record
from palimpsest.system.memory import DEFAULT_BUDGET

# Directions that block Krylov iteration computes beyond `components`, so that the last of these converge sooner, and
# its block's width if `components` is not given.
_OVERSAMPLING, _BLOCK = 8, 256
# Passes over the vectors that the iteration usually takes; each multiplies twice.
_PASSES = 3
# On a Gram matrix the iteration beats a full decomposition if it computes less than a sixth of the directions.
_FULL_SHARE = 6
# Bytes for each number of a Gram matrix: the matrix and its eigenvectors in float64, and the decomposition's memory.
_GRAM_BYTES = 4 * 8
# Copies of long directions that are held at once.
_COPIES = 3


@dataclass(frozen=True)
class Projection(Record):
    """The projection that the auditor fits on the differences of its own samples.

    Args:
        mean: Mean vector mu of the vectors it was fitted on, `[d]`.
        basis: First k right singular vectors of the centered matrix, `[d, k]`, orthonormal columns.
        singular_values: The k largest singular values, `[k]`.
        explained: Share of the total variance that each number of directions explains, cumulative, `[k]`.
    """

    mean: Tensor
    basis: Tensor
    singular_values: Tensor
    explained: Tensor

    @property
    def components(self) -> int:
        """The number k of directions."""
        return self.basis.shape[1]

    def transform(self, vectors: Tensor) -> Tensor:
        """Project vectors: `[n, d]` to `[n, k]`.

        The vectors are not centered, as the paper's are not when it projects: fitting and attack share this one
        function, so the constant shift `mean @ basis` is the same on both sides.
        """
        return matmul_transposed(vectors.to(self.basis), self.basis.T)

    def __call__(self, vectors: Tensor) -> Tensor:
        """The same as `transform`."""
        return self.transform(vectors)

    def add(self, result: Tensor, columns: Tensor, *, start: int, sign: int = 1) -> None:
        """Add the contribution of some columns to the vectors' projections; see `Additive`."""
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
    """Center the vectors and keep the fewest singular directions that explain enough variance (IGF, Eqs. 4 and 5).

    The m x d matrix is never decomposed itself, but its smaller Gram matrix is (m x m or d x d), whose eigenvalues are
    the squared singular values. If `components` is small, block Krylov iteration computes only these directions. If
    passes over the vectors cost less than the Gram matrix, or the Gram matrix exceeds the memory budget, the iteration
    runs on the vectors instead. The total variance is exact in each case.

    Args:
        vectors_or_chunks: `[m, d]`, or its rows in chunks.
        explained_variance: The share nu of the variance to keep, in (0, 1].
        components: The most directions to keep. If omitted, there is no limit.
        directions: Scale each vector to length one first, without a copy of them all.
        memory_budget: Bytes that the work may take beyond the vectors.
        generator: Draws the start of the iteration.

    Raises:
        ConfigurationError: A share outside (0, 1], or fewer than two vectors.
        ResourceError: So many directions do not fit the budget.
    """
    vectors = _checked(vectors_or_chunks, explained_variance)
    rows = CenteredRows.of(vectors, directions=directions)
    implicit = _better_without_gram(*rows.shape, components, memory_budget)
    if implicit:
        total = rows.variance()
        eigenvalues, eigenvectors = _iterate(
            rows, components, explained_variance * total, memory_budget, generator
        )
    else:
        total, eigenvalues, eigenvectors = _decompose(rows, components, memory_budget, generator)
    k, explained = _count_components(eigenvalues, total, explained_variance, components, min(rows.shape))
    values, basis = eigenvalues[:k].sqrt().float(), eigenvectors[:, :k].float()
    if rows.wide:
        left = basis / values.clamp_min(torch.finfo(torch.float32).eps)
        basis = _right_vectors_of_few(left, rows, memory_budget) if implicit else _right_vectors(left, rows)
    return Projection(
        mean=rows.mean,
        basis=basis.contiguous(),
        singular_values=values,
        explained=explained[:k].float().contiguous(),
    )


def _checked(vectors_or_chunks: Tensor | Iterable[Tensor], explained_variance: float) -> Tensor:
    """The vectors as one matrix; see `fit_projection` for the errors."""
    if not 0 < explained_variance <= 1:
        raise ConfigurationError(
            f"explained_variance is {explained_variance}: give a share above 0, at most 1."
        )
    vectors = (
        vectors_or_chunks if isinstance(vectors_or_chunks, Tensor) else torch.cat(list(vectors_or_chunks))
    )
    if len(vectors) < 2:
        raise ConfigurationError(
            f"A projection of {len(vectors)} vectors has no variance to explain: give at least two."
        )
    return vectors


def _better_without_gram(count: int, dimension: int, components: int | None, memory_budget: int) -> bool:
    """Whether the Gram matrix would not fit, or passes over the vectors cost fewer multiplications."""
    smaller, vectors = min(count, dimension), count * dimension
    if _GRAM_BYTES * smaller**2 > memory_budget:
        return True
    if components is None:
        return False
    # Only half of the rows' Gram matrix is computed.
    gram = vectors * smaller // (2 if dimension >= count else 1)
    return 2 * _PASSES * vectors * (components + _OVERSAMPLING) < gram


def _iterate(
    rows: CenteredRows, components: int | None, enough: float, memory_budget: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues of the smaller Gram matrix, and their eigenvectors as columns, without that matrix."""
    count, dimension = rows.shape
    width = min(count, dimension, components + _OVERSAMPLING if components else _BLOCK)
    chunk = _long_directions(dimension, memory_budget)

    def multiply_short(directions: Tensor) -> Tensor:
        return rows.transposed_times(rows.times(directions.T.contiguous())).T

    def multiply_long(weights: Tensor) -> Tensor:
        products = (rows.times(rows.transposed_times(columns)) for columns in weights.split(chunk, 1))
        return torch.cat(list(products), 1)

    if dimension < count:
        multiply, start = multiply_short, torch.randn(dimension, width, generator=generator)
    else:
        sizes = (min(chunk, width - first) for first in range(0, width, chunk))
        drawn = (torch.randn(size, dimension, generator=generator) for size in sizes)
        # Half of a pass brings them nearer to the leading directions.
        multiply, start = multiply_long, torch.cat([rows.times(directions) for directions in drawn], 1)
    return leading_eigenvectors(
        multiply, start, components=components, enough=enough, memory_budget=memory_budget
    )


def _long_directions(dimension: int, memory_budget: int) -> int:
    """How many directions of d numbers are multiplied at once."""
    return max(1, memory_budget // (_COPIES * 4 * dimension))


def _decompose(
    rows: CenteredRows, components: int | None, memory_budget: int, generator: Generator
) -> tuple[float, Tensor, Tensor]:
    """The trace of the smaller Gram matrix, its largest eigenvalues in falling order, and their eigenvectors."""
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
    """How many directions to keep, and the share of the variance that each number of them explains."""
    explained = eigenvalues.cumsum(0) / total if total > 0 else torch.ones_like(eigenvalues)
    # Rounding leaves the last sums slightly below the share that they should reach.
    enough = int((explained < share - 1e-12).sum()) + 1
    # Blocks are multiplied in float32: smaller eigenvalues are rounding, and their directions noise.
    significant = int((eigenvalues > eigenvalues[0] * 1e-7 * size**0.5).sum())
    return min(enough, components or enough, max(1, significant)), explained


def _right_vectors(left: Tensor, rows: CenteredRows) -> Tensor:
    """The right singular vectors `[d, k]` from the left ones divided by their singular values, `[m, k]`."""
    basis = torch.empty(rows.shape[1], left.shape[1])
    for block, centered in rows.columns():
        basis[block] = matmul_transposed(centered.T, left.T)
    return basis


def _right_vectors_of_few(left: Tensor, rows: CenteredRows, memory_budget: int) -> Tensor:
    """The same for few vectors, without a copy of the rows; made orthonormal again where rounding spoils that."""
    chunk = _long_directions(rows.shape[1], memory_budget)
    basis = torch.cat([rows.transposed_times(columns) for columns in left.split(chunk, 1)])
    # The ridge leaves directions of no variance at zero.
    inner = (basis @ basis.T).double() + 1e-6 * torch.eye(len(basis))
    lower = torch.linalg.cholesky(inner)
    return torch.linalg.solve_triangular(lower.float(), basis, upper=False).T.contiguous()
