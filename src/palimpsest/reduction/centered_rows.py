"""Scaled and centered rows for fitting a projection, without a second copy of them all."""

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
# Rows whose sum is exact enough in float32.
_SUMMED = 64
# Numbers of a centered copy of whole rows, however long these are.
_COPIED = 2**22


@dataclass(frozen=True)
class CenteredRows:
    """The matrix C = diag(scale) vectors - 1 mean^T, made by `of`.

    Args:
        vectors: `[m, d]`, in memory or mapped from a file.
        scale: Factor of each row, `[m]`.
        mean: Mean of the scaled rows, `[d]`.
    """

    vectors: Tensor
    scale: Tensor
    mean: Tensor

    @classmethod
    def of(cls, vectors: Tensor, *, directions: bool) -> "CenteredRows":
        """Center vectors.

        Args:
            vectors: `[m, d]`.
            directions: Scale each vector to length one first.
        """
        scale = _inverse_lengths(vectors) if directions else torch.ones(len(vectors))
        mean = torch.cat([_mean(vectors[:, block], scale) for block in _blocks(vectors.shape[1])])
        return cls(vectors, scale, mean)

    @property
    def shape(self) -> tuple[int, int]:
        """The rows m and columns d."""
        return len(self.vectors), self.vectors.shape[1]

    @property
    def wide(self) -> bool:
        """Whether there are at least as many columns as rows."""
        return self.vectors.shape[1] >= len(self.vectors)

    def columns(self) -> Iterator[tuple[slice, Tensor]]:
        """The columns, a block at a time; each is overwritten by the next."""
        count, dimension = self.shape
        memory = torch.empty(count * min(_COLUMNS, dimension))
        for block in _blocks(dimension):
            columns = self.vectors[:, block]
            centered = memory[: columns.numel()].view(columns.shape)
            torch.mul(columns, self.scale[:, None], out=centered)
            yield block, centered.sub_(self.mean[block])

    def times(self, directions: Tensor) -> Tensor:
        """C times directions: rows `[l, d]` to `[m, l]`."""
        # A short matrix times a tall one is faster than the reverse.
        columns = torch.cat([matmul_transposed(directions, block) * scale for block, scale in self._rows], 1)
        return columns.sub_((directions @ self.mean)[:, None]).T

    def transposed_times(self, weights: Tensor) -> Tensor:
        """The transpose of C times weights: `[m, l]` to directions, rows `[l, d]`."""
        result = weights.sum(0)[:, None] * -self.mean
        for (block, scale), part in zip(self._rows, weights.split(_ROWS), strict=True):
            result += matmul_transposed((part * scale[:, None]).T.contiguous(), block.T)
        return result

    def variance(self) -> float:
        """The sum of all squares, which is the sum of all squared singular values."""
        count = max(1, _COPIED // self.shape[1])
        squares = (
            torch.addcmul(-self.mean, block, scale[:, None]).square_().sum(1).double().sum()
            for block, scale in zip(self.vectors.split(count), self.scale.split(count), strict=True)
        )
        return float(sum(squares))

    def row_gram(self) -> Tensor:
        """The m x m inner products of the rows; blocks in float32, their sum in float64.

        Only the blocks on and above the diagonal are computed; the others are their transposes.
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
        """The d x d inner products of the columns; blocks in float32, their sum in float64."""
        dimension = self.vectors.shape[1]
        gram = torch.zeros(dimension, dimension, dtype=torch.float64)
        for block, scale in self._rows:
            centered = torch.addcmul(-self.mean, block, scale[:, None])
            gram += matmul_transposed(centered.T, centered.T)
        return gram

    @cached_property
    def _rows(self) -> list[tuple[Tensor, Tensor]]:
        return list(zip(self.vectors.split(_ROWS), self.scale.split(_ROWS), strict=True))


def _blocks(dimension: int) -> Iterator[slice]:
    return (slice(start, start + _COLUMNS) for start in range(0, dimension, _COLUMNS))


def _inverse_lengths(vectors: Tensor) -> Tensor:
    """One over each row's length; a row of zeros stays one."""
    lengths = torch.cat([rows.norm(dim=1) for rows in vectors.split(_ROWS)])
    return torch.where(lengths > 0, 1 / lengths, torch.ones_like(lengths))


def _mean(columns: Tensor, scale: Tensor) -> Tensor:
    """The mean of scaled rows: blocks are summed in float32 and their sums in float64, faster than a float64 copy."""
    blocks = zip(columns.split(_SUMMED), scale.split(_SUMMED), strict=True)
    sums = torch.stack([weights @ rows for rows, weights in blocks])
    return (sums.double().sum(0) / len(columns)).float()
