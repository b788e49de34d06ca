"""Count sketch of vectors that are too long to be kept."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor

from palimpsest.reduction.matmul import matmul_transposed
from palimpsest.storage import Record


@dataclass(frozen=True)
class CountSketch(Record):
    """Sum coordinates with random signs in random bins (Charikar, Chen and Farach-Colton 2002).

    Inner products are kept on average, with a variance of (|x|^2 |y|^2 + <x, y>^2) / size at most. The coordinates of a
    block as long as the sketch go to bins that differ, turned by a random shift: of any two blocks' coordinates a pair
    meets as often as in bins drawn one by one, and a block is added at the speed of memory.

    Args:
        signs: 1 or -1 for each coordinate, `[d]` int8.
        shifts: How far each block is turned, `[blocks]` int64.
        size: The number of bins.
    """

    signs: Tensor
    shifts: Tensor
    size: int

    @property
    def components(self) -> int:
        """The number of bins."""
        return self.size

    @classmethod
    def draw(cls, dimension: int, size: int, *, generator: Generator) -> Self:
        """Draw signs and shifts.

        Args:
            dimension: Length d of a vector.
            size: Bins; d at most.
            generator: Draws them.
        """
        size = min(size, dimension)
        signs = torch.randint(2, (dimension,), generator=generator, dtype=torch.int8).mul_(2).sub_(1)
        return cls(signs, torch.randint(size, (-(-dimension // size),), generator=generator), size)

    def transform(self, vectors: Tensor) -> Tensor:
        """Sketch vectors: `[n, d]` to `[n, size]`."""
        result = vectors.new_zeros(len(vectors), self.size)
        self.add(result, vectors, start=0)
        return result

    def __call__(self, vectors: Tensor) -> Tensor:
        """The same as `transform`."""
        return self.transform(vectors)

    def add(self, result: Tensor, columns: Tensor, *, start: int, sign: int = 1) -> None:
        """Add the contribution of some columns to the vectors' sketches; see `Additive`."""
        first, stop = start, start + columns.shape[1]
        while first < stop:
            block = first // self.size
            last = min(stop, (block + 1) * self.size)
            part = columns[:, first - start : last - start]
            signs = self.signs[first:last].to(columns)
            place = (first - block * self.size + int(self.shifts[block])) % self.size
            unwrapped = min(last - first, self.size - place)
            result[:, place : place + unwrapped].addcmul_(part[:, :unwrapped], signs[:unwrapped], value=sign)
            result[:, : last - first - unwrapped].addcmul_(part[:, unwrapped:], signs[unwrapped:], value=sign)
            first = last


def distortion(vectors: Tensor, sketched: Tensor) -> float:
    """How far a sketch moves the inner products of centered vectors, relative to all of them (Frobenius norm).

    Args:
        vectors: `[n, d]`, at least two.
        sketched: The same vectors' sketches, `[n, size]`.
    """
    exact, kept = (
        matmul_transposed(each, each) for each in (vectors - vectors.mean(0), sketched - sketched.mean(0))
    )
    return float((kept - exact).norm() / exact.norm().clamp_min(torch.finfo(exact.dtype).tiny))
