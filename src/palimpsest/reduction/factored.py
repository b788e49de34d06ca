"""Random projection of the parameters' gradients as matrices, from both sides, for vectors too long to compute."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from palimpsest.errors import ConfigurationError
from palimpsest.reduction.vector_sketch import VectorSketch
from palimpsest.storage import Record

# Largest number of coordinates that are projected as one row. More are folded to a square first, whose two matrices are
# far smaller than that of the row.
_MAX_ROW = 2**14


@dataclass(frozen=True)
class FactoredBlock(Record):
    """Projection of one parameter's gradient as a matrix, from both sides.

    Args:
        start: Index of the parameter's first coordinate in the vector.
        size: Number of the parameter's coordinates; a matrix with more entries is filled up with zeros.
        shape: Rows and columns of the matrix.
        outputs: Applied to the columns of the matrix, `[rows, r]`. None means the identity.
        inputs: Applied to the rows of the matrix, `[columns, s]`. None means the identity.
    """

    start: int
    size: int
    shape: tuple[int, int]
    outputs: Tensor | None
    inputs: Tensor | None

    @classmethod
    def draw(cls, start: int, shape: Sequence[int], components: int, *, generator: Generator) -> Self:
        """Draw the matrices for a parameter.

        Args:
            start: Index of the parameter's first coordinate in the vector.
            shape: Shape of the parameter.
            components: Maximum number of components, at least 1.
            generator: Draws the matrices.

        Returns:
            The block, with as many components as a product of two numbers allows.
        """
        rows, columns = _as_matrix(shape)
        kept_rows = min(rows, max(1, math.isqrt(components)))
        kept_columns = min(columns, components // kept_rows)
        kept_rows = min(rows, components // kept_columns)
        return cls(
            start,
            math.prod(shape),
            (rows, columns),
            _random_columns(rows, kept_rows, generator),
            _random_columns(columns, kept_columns, generator),
        )

    @property
    def projected_shape(self) -> tuple[int, int]:
        """Rows and columns of the projected matrix."""
        return (
            self.shape[0] if self.outputs is None else self.outputs.shape[1],
            self.shape[1] if self.inputs is None else self.inputs.shape[1],
        )

    def project(self, coordinates: Tensor) -> Tensor:
        """Project the parameter's coordinates `[n, size]` to `[n, components]`."""
        rows, columns = self.shape
        matrices = F.pad(coordinates, (0, rows * columns - self.size)).view(-1, rows, columns)
        if self.inputs is not None:
            matrices = matrices @ self.inputs.to(matrices)
        if self.outputs is not None:
            matrices = self.outputs.to(matrices).T @ matrices
        return matrices.flatten(1)


@dataclass(frozen=True)
class FactoredProjection(VectorSketch):
    """Random projection of each parameter's gradient G to P^T G Q (LoGra, Choe et al. 2024; TRAK, Park et al. 2023).

    P and Q have random orthonormal columns, scaled so that inner products are preserved on average. A weight's gradient
    is a sum of outer products of output gradients and inputs, so its projection follows from the projected factors, and
    neither the gradient nor the whole vector is ever computed. The price is the error of inner products: for gradients
    of rank one it falls with the number of P's and of Q's columns, not with their product. A count sketch of the same
    size has a smaller error.

    Args:
        blocks: Projections of all parameters, in the order of the vector.
    """

    blocks: tuple[FactoredBlock, ...]

    @classmethod
    def draw(cls, shapes: Sequence[Sequence[int]], size: int, *, generator: Generator) -> Self:
        """Draw the matrices for all parameters.

        Each parameter gets the same number of components. A parameter with fewer coordinates keeps them all.

        Args:
            shapes: Shapes of the parameters, in the order of the vector.
            size: Maximum number of components in total.
            generator: Draws the matrices.

        Returns:
            The projection.

        Raises:
            ConfigurationError: There are more parameters than components.
        """
        if size < len(shapes):
            raise ConfigurationError(
                f"A factored projection to {size:,} numbers can't hold {len(shapes):,} parameters, of which each one "
                f"needs a number. Set attack.sketch to at least {len(shapes):,}."
            )
        sizes, blocks, start = list(map(math.prod, shapes)), list[FactoredBlock](), 0
        for shape, count, components in zip(shapes, sizes, _shares(sizes, size), strict=True):
            blocks.append(FactoredBlock.draw(start, shape, components, generator=generator))
            start += count
        return cls(tuple(blocks))

    @property
    def components(self) -> int:
        """Number of components."""
        return sum(math.prod(block.projected_shape) for block in self.blocks)

    @property
    def dimension(self) -> int:
        """Length d of a vector."""
        return self.blocks[-1].start + self.blocks[-1].size

    def transform(self, vectors: Tensor) -> Tensor:
        """Project vectors `[n, d]` to `[n, components]`."""
        parts = vectors.split([block.size for block in self.blocks], dim=1)
        return torch.cat([block.project(part) for block, part in zip(self.blocks, parts, strict=True)], dim=1)

    def add(self, result: Tensor, columns: Tensor, *, start: int, sign: int = 1) -> None:
        """Add the contribution of a range of columns to projections; see `VectorSketch.add`."""
        stop = start + columns.shape[1]
        for block, place in self._places.values():
            first, last = max(start, block.start), min(stop, block.start + block.size)
            if first < last:
                around = (first - block.start, block.start + block.size - last)
                coordinates = F.pad(columns[:, first - start : last - start], around)
                result[:, place].add_(block.project(coordinates), alpha=sign)

    def factors(self, start: int, shape: tuple[int, int]) -> tuple[Tensor | None, Tensor | None] | None:
        """Return the two matrices for a parameter; see `Factored.factors`."""
        block, _ = self._places.get(start, (None, None))
        if block is None or block.shape != shape or block.outputs is block.inputs is None:
            return None
        return block.outputs, block.inputs

    def add_projected(self, result: Tensor, projected: Tensor, *, start: int, sign: int = 1) -> None:
        """Add the contribution of a parameter whose gradients are projected already; see `Factored.add_projected`."""
        _, place = self._places[start]
        result[:, place].add_(projected.flatten(1), alpha=sign)

    @cached_property
    def _places(self) -> dict[int, tuple[FactoredBlock, slice]]:
        """Blocks and their places in a result, by the first coordinate."""
        return dict(self._located())

    def _located(self) -> Iterator[tuple[int, tuple[FactoredBlock, slice]]]:
        first = 0
        for block in self.blocks:
            last = first + math.prod(block.projected_shape)
            yield block.start, (block, slice(first, last))
            first = last


def _as_matrix(shape: Sequence[int]) -> tuple[int, int]:
    """Return rows and columns of a parameter as a matrix: a weight has a row for each output, a bias is one row."""
    size = math.prod(shape)
    rows = shape[0] if len(shape) > 1 else 1
    # Positions and class tokens have a first dimension of one.
    if rows == 1 and len(shape) > 2:
        rows = shape[1]
    if rows == 1 and size > _MAX_ROW:
        rows = math.isqrt(size)
    return rows, -(-size // rows)


def _shares(sizes: Sequence[int], total: int) -> list[int]:
    """Divide a number of components equally among parameters, of which none gets more than its size."""
    shares = [0] * len(sizes)
    for taken, place in enumerate(sorted(range(len(sizes)), key=sizes.__getitem__)):
        shares[place] = min(sizes[place], total // (len(sizes) - taken))
        total -= shares[place]
    return shares


def _random_columns(rows: int, columns: int, generator: Generator) -> Tensor | None:
    """Draw M `[rows, columns]` with orthogonal columns, scaled so that the mean of M M^T is the identity.

    None stands for the identity itself.
    """
    if columns == rows:
        return None
    basis, _ = torch.linalg.qr(torch.randn(rows, columns, generator=generator))
    return basis.contiguous().mul_(math.sqrt(rows / columns))
