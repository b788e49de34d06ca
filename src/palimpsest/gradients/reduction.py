"""From d-dimensional gradient differences to the few directions that carry them (IGF, section 3.2, Eqs. 4 and 5)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from palimpsest.errors import ConfigurationError
from palimpsest.gradients.per_sample import DEFAULT_BUDGET
from palimpsest.gradients.products import product
from palimpsest.gradients.subspace import OVERSAMPLING, PASSES, leading_directions
from palimpsest.records import Record

# Columns of a block: wide enough for a fast matrix product, narrow enough for its centred copy to stay small.
_BLOCK = 8192
# Rows of a block of the Gram matrix.
_ROWS = 1024
_SUMMED = 64
# Subspace iteration beats a full decomposition where it looks for less than a sixth of the directions.
_FEW = 6
# A Gram matrix in float64, its eigenvectors, and what finding those takes.
_GRAMS = 4 * 8


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
    eigenvalues are the squared singular values. Where `components` asks for few of them, subspace iteration finds
    those alone (Halko, Martinsson and Tropp 2011, algorithm 4.4); where they are so few that passes over the vectors
    cost less than the Gram matrix, or where that would not fit the budget, it goes over the vectors themselves. The
    total variance is exact each time.

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
    scale = _inverse_lengths(vectors) if directions else torch.ones(count)
    mean = torch.cat([_mean(vectors[:, block], scale) for block in _blocks(dimension)])
    if _better_without_gram(count, dimension, components, memory_budget):
        eigenvalues, found, total = leading_directions(
            vectors,
            scale,
            mean,
            components=components,
            share=explained_variance,
            memory_budget=memory_budget,
            generator=generator,
        )
        k, explained = _enough(eigenvalues, total, explained_variance, components, min(count, dimension))
        basis = found[:k].T
    else:
        wide = dimension >= count
        gram = _row_gram(vectors, scale, mean) if wide else _column_gram(vectors, scale, mean)
        total, smaller = float(gram.trace()), len(gram)
        eigenvalues, eigenvectors = _leading(gram, components or smaller, generator)
        del gram
        k, explained = _enough(eigenvalues, total, explained_variance, components, smaller)
        basis = eigenvectors[:, :k]
        if wide:
            basis = _spread(basis, eigenvalues[:k].sqrt(), vectors, scale, mean)
    return Projection(
        mean=mean,
        basis=basis.to(torch.float32).contiguous(),
        singular_values=eigenvalues[:k].sqrt().to(torch.float32),
        explained=explained[:k].to(torch.float32).contiguous(),
    )


def _better_without_gram(count: int, dimension: int, components: int | None, memory_budget: int) -> bool:
    """Whether the Gram matrix would not fit, or passes over the vectors cost fewer multiplications."""
    smaller, vectors = min(count, dimension), count * dimension
    if _GRAMS * smaller**2 > memory_budget:
        return True
    if components is None:
        return False
    width = components + OVERSAMPLING
    # Of the rows' Gram matrix one half is computed. Each pass multiplies twice.
    gram = vectors * smaller // (2 if dimension >= count else 1)
    return 2 * (PASSES + 1) * vectors * width < gram


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


def _spread(left: Tensor, values: Tensor, vectors: Tensor, scale: Tensor, mean: Tensor) -> Tensor:
    """The right singular vectors `[d, k]` that belong to the left ones `[m, k]`."""
    left = (left / values.clamp_min(torch.finfo(torch.float32).eps)).to(torch.float32)
    basis = torch.empty(vectors.shape[1], left.shape[1])
    for block, centred in _centred(vectors, scale, mean):
        basis[block] = product(centred.T, left.T)
    return basis


def _leading(gram: Tensor, components: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues of a Gram matrix, falling, and their eigenvectors as columns."""
    width = components + OVERSAMPLING
    if width * _FEW > len(gram):
        eigenvalues, vectors = torch.linalg.eigh(gram)
    else:
        span = torch.randn(len(gram), width, dtype=gram.dtype, generator=generator)
        for _ in range(PASSES):
            span = torch.linalg.qr(gram @ span).Q
        eigenvalues, inner = torch.linalg.eigh(span.T @ (gram @ span))
        vectors = span @ inner
    return eigenvalues.flip(0)[:components].clamp_min(0), vectors.flip(1)[:, :components]


def _blocks(dimension: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, dimension, _BLOCK))


def _inverse_lengths(vectors: Tensor) -> Tensor:
    """One over each row's length; a row of zeros stays one."""
    lengths = torch.cat([rows.norm(dim=1) for rows in vectors.split(_BLOCK)])
    return torch.where(lengths > 0, 1 / lengths, torch.ones_like(lengths))


def _mean(columns: Tensor, scale: Tensor) -> Tensor:
    """Few rows are summed in float32, and their sums in float64: a copy of all in float64 would take longer."""
    few = zip(columns.split(_SUMMED), scale.split(_SUMMED), strict=True)
    sums = torch.stack([lengths @ rows for rows, lengths in few])
    return (sums.double().sum(0) / len(columns)).float()


def _centred(vectors: Tensor, scale: Tensor, mean: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """The scaled and centred columns, a block at a time; each is overwritten by the next."""
    memory = torch.empty(len(vectors), min(_BLOCK, vectors.shape[1])).view(-1)
    for block in _blocks(vectors.shape[1]):
        columns = vectors[:, block]
        centred = memory[: columns.numel()].view(columns.shape)
        torch.mul(columns, scale[:, None], out=centred)
        yield block, centred.sub_(mean[block])


def _row_gram(vectors: Tensor, scale: Tensor, mean: Tensor) -> Tensor:
    """The m x m inner products of the centred rows; blocks in float32, their sum in float64.

    Of both halves, which are the same, one is computed, and the blocks on the diagonal.
    """
    count = len(vectors)
    gram = torch.zeros(count, count, dtype=torch.float64)
    for _, centred in _centred(vectors, scale, mean):
        for start in range(0, count, _ROWS):
            rows = slice(start, start + _ROWS)
            gram[rows, start:] += product(centred[rows], centred[start:])
    for start in range(_ROWS, count, _ROWS):
        rows = slice(start, start + _ROWS)
        gram[rows, :start] = gram[:start, rows].T
    return gram


def _column_gram(vectors: Tensor, scale: Tensor, mean: Tensor) -> Tensor:
    """The d x d inner products of the centred columns."""
    gram = torch.zeros(vectors.shape[1], vectors.shape[1], dtype=torch.float64)
    for rows, lengths in zip(vectors.split(_BLOCK), scale.split(_BLOCK), strict=True):
        centred = rows * lengths[:, None] - mean
        gram += product(centred.T, centred.T)
    return gram
