"""Count sketch of vectors that are too long to store."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor

from palimpsest.reduction.matmul import matmul_transposed
from palimpsest.reduction.vector_sketch import VectorSketch


@dataclass(frozen=True)
class CountSketch(VectorSketch):
    """Sketch that sums coordinates with random signs in random bins (Charikar, Chen and Farach-Colton 2002).

    Inner products are preserved on average, with a variance of at most (|x|^2 |y|^2 + <x, y>^2) / size. The vector is
    divided into blocks as long as the sketch. Each block is rotated by a random shift and added to the sketch, so two
    coordinates of one block never collide. Coordinates of different blocks collide as often as in bins that are drawn
    independently. A block is added at the speed of memory.

    Args:
        signs: 1 or -1 for each coordinate, `[d]` int8.
        shifts: Rotation of each block, `[blocks]` int64.
        size: Number of bins.
    """

    signs: Tensor
    shifts: Tensor
    size: int

    @property
    def components(self) -> int:
        """Number of bins."""
        return self.size

    @classmethod
    def draw(cls, dimension: int, size: int, *, generator: Generator) -> Self:
        """Draw signs and shifts.

        Args:
            dimension: Length d of a vector.
            size: Number of bins; more than d are reduced to d.
            generator: Draws the signs and shifts.

        Returns:
            The sketch.
        """
        size = min(size, dimension)
        signs = torch.randint(2, (dimension,), generator=generator, dtype=torch.int8).mul_(2).sub_(1)
        return cls(signs, torch.randint(size, (-(-dimension // size),), generator=generator), size)

    def transform(self, vectors: Tensor) -> Tensor:
        """Map vectors `[n, d]` to their sketches, `[n, size]`."""
        result = vectors.new_zeros(len(vectors), self.size)
        self.add(result, vectors, start=0)
        return result

    def add(self, result: Tensor, columns: Tensor, *, start: int, sign: int = 1) -> None:
        """Add the contribution of a range of columns to sketches; see `VectorSketch.add`."""
        first, stop = start, start + columns.shape[1]
        while first < stop:
            block = first // self.size
            last = min(stop, (block + 1) * self.size)
            part = columns[:, first - start : last - start]
            signs = self.signs[first:last].to(columns)
            position = (first - block * self.size + int(self.shifts[block])) % self.size
            unwrapped = min(last - first, self.size - position)
            result[:, position : position + unwrapped].addcmul_(
                part[:, :unwrapped], signs[:unwrapped], value=sign
            )
            result[:, : last - first - unwrapped].addcmul_(part[:, unwrapped:], signs[unwrapped:], value=sign)
            first = last


def distortion(vectors: Tensor, sketched: Tensor) -> float:
    """Compute the relative error of a sketch in the inner products of centered vectors (Frobenius norm).

    Args:
        vectors: `[n, d]`, at least two.
        sketched: Sketches of the same vectors, `[n, size]`.

    Returns:
        The norm of the error, divided by the norm of the exact inner products.
    """
    exact, approximate = (
        matmul_transposed(centered, centered)
        for centered in (vectors - vectors.mean(0), sketched - sketched.mean(0))
    )
    return float((approximate - exact).norm() / exact.norm().clamp_min(torch.finfo(exact.dtype).tiny))
