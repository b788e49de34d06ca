"""Scaled and centered rows for fitting a projection, without a copy of the whole matrix."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from palimpsest.reduction.matmul import matmul_transposed

# Columns of a block: wide enough for a fast matrix product, narrow enough for its centered copy to stay small.
_COLUMNS = 8192
# Rows of a block.
_ROWS = 1024
# Number of rows whose sum is accurate enough in float32.
_SUM_ROWS = 64
# Maximum number of elements in a centered copy of whole rows.
_MAX_COPY_ELEMENTS = 2**22


@dataclass(frozen=True)
class CenteredRows:
    """Implicit matrix C = diag(scale) vectors - 1 mean^T; create it with `of`.

    Args:
        vectors: `[m, d]`, in memory or memory-mapped.
        scale: Factor of each row, `[m]`.
        mean: Mean of the scaled rows, `[d]`.
    """

    vectors: Tensor
    scale: Tensor
    mean: Tensor

    @classmethod
    def of(cls, vectors: Tensor, *, directions: bool) -> "CenteredRows":
        """Compute the scales and the mean of vectors.

        Args:
            vectors: `[m, d]`.
            directions: If true, each vector is scaled to length one first.

        Returns:
            The centered rows.
        """
        scale = _inverse_lengths(vectors) if directions else torch.ones(len(vectors))
        mean = torch.cat([_mean(vectors[:, block], scale) for block in _blocks(vectors.shape[1])])
        return cls(vectors, scale, mean)

    @property
    def shape(self) -> tuple[int, int]:
        """Number m of rows and number d of columns."""
        return len(self.vectors), self.vectors.shape[1]

    @property
    def wide(self) -> bool:
        """True if there are at least as many columns as rows."""
        return self.vectors.shape[1] >= len(self.vectors)

    def columns(self) -> Iterator[tuple[slice, Tensor]]:
        """Yield the columns in blocks, with their positions. Each block overwrites the one before."""
        count, dimension = self.shape
        memory = torch.empty(count * min(_COLUMNS, dimension))
        for block in _blocks(dimension):
            columns = self.vectors[:, block]
            centered = memory[: columns.numel()].view(columns.shape)
            torch.mul(columns, self.scale[:, None], out=centered)
            yield block, centered.sub_(self.mean[block])

    def times(self, directions: Tensor) -> Tensor:
        """Multiply C by directions: rows `[l, d]` give `[m, l]`."""
        # A short matrix times a tall one is faster than a tall one times a short one.
        columns = torch.cat([matmul_transposed(directions, block) * scale for block, scale in self._rows], 1)
        return columns.sub_((directions @ self.mean)[:, None]).T

    def transposed_times(self, weights: Tensor) -> Tensor:
        """Multiply the transpose of C by weights: `[m, l]` gives directions as rows, `[l, d]`."""
        result = weights.sum(0)[:, None] * -self.mean
        for (block, scale), part in zip(self._rows, weights.split(_ROWS), strict=True):
            result += matmul_transposed((part * scale[:, None]).T.contiguous(), block.T)
        return result

    def variance(self) -> float:
        """Compute the sum of squares of C, which equals the sum of its squared singular values."""
        count = max(1, _MAX_COPY_ELEMENTS // self.shape[1])
        squares = (
            torch.addcmul(-self.mean, block, scale[:, None]).square_().sum(1).double().sum()
            for block, scale in zip(self.vectors.split(count), self.scale.split(count), strict=True)
        )
        return float(sum(squares))

    def row_gram(self) -> Tensor:
        """Compute the m x m inner products of the rows; blocks in float32, their sum in float64.

        Only the blocks on and above the diagonal are computed; the others are transposed copies.
        """
        count = len(self.vectors)
        gram = torch.zeros(count, count, dtype=torch.float64)
        for _, centered in self.columns():
            for start in range(0, count, _ROWS):
                rows = slice(start, start + _ROWS)
                gram[rows, start:] += matmul_transposed(centered[rows], centered[start:])
        for start in range(_ROWS, count, _ROWS):
            rows = slice(start, start + _ROWS)
            gram[rows, :start] = gram[:start, rows].T
        return gram

    def column_gram(self) -> Tensor:
        """Compute the d x d inner products of the columns; blocks in float32, their sum in float64."""
        dimension = self.vectors.shape[1]
        gram = torch.zeros(dimension, dimension, dtype=torch.float64)
        for block, scale in self._rows:
            centered = torch.addcmul(-self.mean, block, scale[:, None])
            gram += matmul_transposed(centered.T, centered.T)
        return gram

    @cached_property
    def _rows(self) -> list[tuple[Tensor, Tensor]]:
        """Blocks of vectors with their scales."""
        return list(zip(self.vectors.split(_ROWS), self.scale.split(_ROWS), strict=True))


def _blocks(dimension: int) -> Iterator[slice]:
    """Yield the positions of the blocks of columns."""
    return (slice(start, start + _COLUMNS) for start in range(0, dimension, _COLUMNS))


def _inverse_lengths(vectors: Tensor) -> Tensor:
    """Return one over the length of each row, and one for a row of zeros."""
    lengths = torch.cat([rows.norm(dim=1) for rows in vectors.split(_ROWS)])
    return torch.where(lengths > 0, 1 / lengths, torch.ones_like(lengths))


def _mean(columns: Tensor, scale: Tensor) -> Tensor:
    """Compute the mean of scaled rows.

    Blocks are summed in float32 and their sums in float64, which is faster than a copy in float64.
    """
    blocks = zip(columns.split(_SUM_ROWS), scale.split(_SUM_ROWS), strict=True)
    sums = torch.stack([weights @ rows for rows, weights in blocks])
    return (sums.double().sum(0) / len(columns)).float()
