"""From d-dimensional gradient differences to the few directions that carry them (IGF, section 3.2, Eqs. 4 and 5)."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.errors import ConfigurationError
from palimpsest.gradients.per_sample import DEFAULT_BUDGET
from palimpsest.reduction.centered_rows import CentredRows
from palimpsest.reduction.krylov import leading_eigenvectors
from palimpsest.reduction.matmul import product
from palimpsest.storage import Record

# Directions that block Krylov iteration looks for beside those that are wanted: the last ones converge sooner. Where
# nobody says how many are, so many at a time.
_OVERSAMPLING, _TOGETHER = 8, 256
# Passes over the vectors that it mostly takes; each multiplies twice.
_PASSES = 3
# On a Gram matrix it beats a full decomposition where it looks for less than a sixth of the directions.
_FEW = 6
# Bytes for each number of a Gram matrix: it and its eigenvectors in float64, and what finding those takes.
_GRAMS = 4 * 8
# Copies of long directions that are held at once.
_COPIES = 3


@dataclass(frozen=True)
class Projection(Record):
    """The projection that the auditor learns from its own samples' differences.

    Args:
        mean: Mean vector mu of the vectors it was fitted on, `[d]`.
        basis: First k right singular vectors of the centred matrix, `[d, k]`, orthonormal columns.
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

        The vectors are not centred, as the paper's are not when it projects: fitting and attack share this one
        function, so the constant shift `mean @ basis` is the same on both sides.
        """
        return product(vectors.to(self.basis), self.basis.T)

    def __call__(self, vectors: Tensor) -> Tensor:
        """The same as `transform`: a projection is one way to read vectors."""
        return self.transform(vectors)

    def add(self, result: Tensor, columns: Tensor, *, start: int, sign: int = 1) -> None:
        """Add what some columns of vectors contribute to their projections; see `Additive`."""
        rows = self.basis[start : start + columns.shape[1]].to(columns)
        result.add_(product(columns, rows.T), alpha=sign)


def fit_projection(
    vectors_or_chunks: Tensor | Iterable[Tensor],
    *,
    explained_variance: float = 0.95,
    components: int | None = None,
    directions: bool = False,
    memory_budget: int = DEFAULT_BUDGET,
    generator: Generator,
) -> Projection:
    """Centre the vectors and keep the fewest singular directions that explain enough of them (IGF, Eqs. 4 and 5).

    The m x d matrix is never decomposed itself: its Gram matrix (m x m, or d x d where d is smaller) is, whose
    eigenvalues are the squared singular values. Where `components` asks for few of them, block Krylov iteration finds
    those alone; where they are so few that passes over the vectors cost less than the Gram matrix, or where that would
    not fit the budget, it goes over the vectors themselves. The total variance is exact each time.

    Args:
        vectors_or_chunks: `[m, d]`, or its rows in chunks.
        explained_variance: The share nu of the variance to keep, in (0, 1].
        components: Keep no more than so many directions; none for no limit.
        directions: Fit on the vectors' directions, each scaled to length one, without a copy of them all.
        memory_budget: Bytes that the work may take beside the vectors.
        generator: Where the randomised search starts.

    Raises:
        ConfigurationError: A share outside (0, 1], or fewer than two vectors.
        ResourceError: So many directions do not fit the budget.
    """
    if not 0 < explained_variance <= 1:
        raise ConfigurationError(
            f"explained_variance is {explained_variance}: give a share above 0, at most 1."
        )
    vectors = (
        vectors_or_chunks if isinstance(vectors_or_chunks, Tensor) else torch.cat(list(vectors_or_chunks))
    )
    count, dimension = vectors.shape
    if count < 2:
        raise ConfigurationError(
            f"A projection of {count} vectors has no variance to explain: give at least two."
        )
    rows, smaller = CentredRows.of(vectors, directions=directions), min(count, dimension)
    wide = dimension >= count
    implicit = _better_without_gram(count, dimension, components, memory_budget)
    if implicit:
        total = rows.variance()
        eigenvalues, eigenvectors = _iterate(
            rows, components, explained_variance * total, memory_budget, generator
        )
    else:
        gram = rows.row_gram() if wide else rows.column_gram()
        total = float(gram.trace())
        eigenvalues, eigenvectors = _decompose(gram, components, memory_budget, generator)
        del gram
    k, explained = _enough(eigenvalues, total, explained_variance, components, smaller)
    values, basis = eigenvalues[:k].sqrt().float(), eigenvectors[:, :k].float()
    if wide:
        left = basis / values.clamp_min(torch.finfo(torch.float32).eps)
        basis = _spread_few(left, rows, memory_budget) if implicit else _spread(left, rows)
    return Projection(
        mean=rows.mean,
        basis=basis.contiguous(),
        singular_values=values,
        explained=explained[:k].float().contiguous(),
    )


def _better_without_gram(count: int, dimension: int, components: int | None, memory_budget: int) -> bool:
    """Whether the Gram matrix would not fit, or passes over the vectors cost fewer multiplications."""
    smaller, vectors = min(count, dimension), count * dimension
    if _GRAMS * smaller**2 > memory_budget:
        return True
    if components is None:
        return False
    # Of the rows' Gram matrix one half is computed.
    gram = vectors * smaller // (2 if dimension >= count else 1)
    return 2 * _PASSES * vectors * (components + _OVERSAMPLING) < gram


def _iterate(
    rows: CentredRows, components: int | None, enough: float, memory_budget: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues of the smaller Gram matrix, which is never made, and their eigenvectors as columns."""
    count, dimension = rows.shape
    width = min(count, dimension, components + _OVERSAMPLING if components else _TOGETHER)
    few = _long_directions(dimension, memory_budget)

    def pull_short(directions: Tensor) -> Tensor:
        return rows.transposed_times(rows.times(directions.T.contiguous())).T

    def pull_long(weights: Tensor) -> Tensor:
        return torch.cat([rows.times(rows.transposed_times(some)) for some in weights.split(few, 1)], 1)

    if dimension < count:
        pull, start = pull_short, torch.randn(dimension, width, generator=generator)
    else:
        drawn = (
            torch.randn(len(some), dimension, generator=generator) for some in torch.empty(width).split(few)
        )
        # Half of a pass takes them nearer to the leading directions.
        pull, start = pull_long, torch.cat([rows.times(some) for some in drawn], 1)
    return leading_eigenvectors(
        pull, start, components=components, enough=enough, memory_budget=memory_budget
    )


def _long_directions(dimension: int, memory_budget: int) -> int:
    """How many directions of d numbers are multiplied at once."""
    return max(1, memory_budget // (_COPIES * 4 * dimension))


def _decompose(
    gram: Tensor, components: int | None, memory_budget: int, generator: Generator
) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues of a Gram matrix, falling, and their eigenvectors as columns."""
    width = (components or len(gram)) + _OVERSAMPLING
    if width * _FEW > len(gram):
        eigenvalues, vectors = torch.linalg.eigh(gram)
        return eigenvalues.flip(0).clamp_min(0), vectors.flip(1)
    start = torch.randn(len(gram), width, dtype=gram.dtype, generator=generator)
    return leading_eigenvectors(gram.__matmul__, start, components=components, memory_budget=memory_budget)


def _enough(
    eigenvalues: Tensor, total: float, share: float, components: int | None, size: int
) -> tuple[int, Tensor]:
    """How many directions to keep, and the share of the variance that each number of them explains."""
    explained = eigenvalues.cumsum(0) / total if total > 0 else torch.ones_like(eigenvalues)
    # Rounding leaves the last sums a hair under the share that they should reach.
    enough = int((explained < share - 1e-12).sum()) + 1
    # Blocks are multiplied in float32: smaller eigenvalues are rounding, and their directions noise.
    significant = int((eigenvalues > eigenvalues[0] * 1e-7 * size**0.5).sum())
    return min(enough, components or enough, max(1, significant)), explained


def _spread(left: Tensor, rows: CentredRows) -> Tensor:
    """What left singular vectors, over their values, `[m, k]` make of the rows: the right ones `[d, k]`."""
    basis = torch.empty(rows.shape[1], left.shape[1])
    for block, centred in rows.columns():
        basis[block] = product(centred.T, left.T)
    return basis


def _spread_few(left: Tensor, rows: CentredRows, memory_budget: int) -> Tensor:
    """The same for few of them without a copy of the rows, and at right angles where the values' range spoils it."""
    few = _long_directions(rows.shape[1], memory_budget)
    basis = torch.cat([rows.transposed_times(some) for some in left.split(few, 1)])
    # The ridge leaves directions of no variance at zero.
    crooked = torch.linalg.cholesky((basis @ basis.T).double() + 1e-6 * torch.eye(len(basis)))
    return torch.linalg.solve_triangular(crooked.float(), basis, upper=False).T.contiguous()
