"""The rows that a projection is fitted on, scaled and centred, without a second copy of them all."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from palimpsest.reduction.matmul import product

# Columns of a block: wide enough for a fast matrix product, narrow enough for its centred copy to stay small.
_COLUMNS = 8192
# Rows of a block.
_ROWS = 1024
# Rows whose sum is exact enough in float32.
_SUMMED = 64
# Numbers of a centred copy of some whole rows, however long these are.
_COPIED = 2**22


@dataclass(frozen=True)
class CentredRows:
    """The matrix C = diag(scale) vectors - 1 mean^T; `of` makes it.

    Args:
        vectors: `[m, d]`, in memory or mapped from a file.
        scale: What each row is multiplied by, `[m]`.
        mean: Mean of the scaled rows, `[d]`.
    """

    vectors: Tensor
    scale: Tensor
    mean: Tensor

    @classmethod
    def of(cls, vectors: Tensor, *, directions: bool) -> "CentredRows":
        """Centre vectors.

        Args:
            vectors: `[m, d]`.
            directions: Scale each to length one before.
        """
        scale = _inverse_lengths(vectors) if directions else torch.ones(len(vectors))
        mean = torch.cat([_mean(vectors[:, block], scale) for block in _blocks(vectors.shape[1])])
        return cls(vectors, scale, mean)

    @property
    def shape(self) -> tuple[int, int]:
        """The rows m and columns d."""
        return len(self.vectors), self.vectors.shape[1]

    def columns(self) -> Iterator[tuple[slice, Tensor]]:
        """The columns, a block at a time; each is overwritten by the next."""
        count, dimension = self.shape
        memory = torch.empty(count * min(_COLUMNS, dimension))
        for block in _blocks(dimension):
            columns = self.vectors[:, block]
            centred = memory[: columns.numel()].view(columns.shape)
            torch.mul(columns, self.scale[:, None], out=centred)
            yield block, centred.sub_(self.mean[block])

    def times(self, directions: Tensor) -> Tensor:
        """C times directions: rows `[l, d]` to `[m, l]`."""
        # Few rows by many is faster than many by few.
        columns = torch.cat([product(directions, few) * scale for few, scale in self._rows], 1)
        return columns.sub_((directions @ self.mean)[:, None]).T

    def transposed_times(self, weights: Tensor) -> Tensor:
        """The transpose of C times weights: `[m, l]` to directions, rows `[l, d]`."""
        result = weights.sum(0)[:, None] * -self.mean
        for (few, scale), some in zip(self._rows, weights.split(_ROWS), strict=True):
            result += product((some * scale[:, None]).T.contiguous(), few.T)
        return result

    def variance(self) -> float:
        """The sum of all squares, which is that of all squared singular values."""
        together = max(1, _COPIED // self.shape[1])
        squares = (
            torch.addcmul(-self.mean, few, scale[:, None]).square_().sum(1).double().sum()
            for few, scale in zip(self.vectors.split(together), self.scale.split(together), strict=True)
        )
        return float(sum(squares))

    def row_gram(self) -> Tensor:
        """The m x m inner products of the rows; blocks in float32, their sum in float64.

        Of both halves, which are the same, one is computed, and the blocks on the diagonal.
        """
        count = len(self.vectors)
        gram = torch.zeros(count, count, dtype=torch.float64)
        for _, centred in self.columns():
            for start in range(0, count, _ROWS):
                rows = slice(start, start + _ROWS)
                gram[rows, start:] += product(centred[rows], centred[start:])
        for start in range(_ROWS, count, _ROWS):
            rows = slice(start, start + _ROWS)
            gram[rows, :start] = gram[:start, rows].T
        return gram

    def column_gram(self) -> Tensor:
        """The d x d inner products of the columns, likewise."""
        dimension = self.vectors.shape[1]
        gram = torch.zeros(dimension, dimension, dtype=torch.float64)
        for few, scale in self._rows:
            centred = torch.addcmul(-self.mean, few, scale[:, None])
            gram += product(centred.T, centred.T)
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
    """Few rows are summed in float32, and their sums in float64: a copy of all in float64 would take longer."""
    few = zip(columns.split(_SUMMED), scale.split(_SUMMED), strict=True)
    sums = torch.stack([lengths @ rows for rows, lengths in few])
    return (sums.double().sum(0) / len(columns)).float()
