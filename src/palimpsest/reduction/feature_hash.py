"""Feature hashing, the baseline of IGF's SVD (IGF, section C.4, Table 5)."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor

from palimpsest.storage import Record


@dataclass(frozen=True)
class FeatureHash(Record):
    """Hash that sums the coordinates in the same random bin (Weinberger et al. 2009).

    As in Learning to Invert, the coordinates have no random signs.

    Args:
        bins: Bin of each coordinate, `[d]` int64.
        size: Number of bins.
    """

    bins: Tensor
    size: int

    @classmethod
    def draw(cls, dimension: int, rate: float, *, generator: Generator) -> Self:
        """Draw a bin for each coordinate.

        Args:
            dimension: Length d of a vector.
            rate: Number of bins per coordinate, in (0, 1]; the paper uses 0.5 for ResNet20.
            generator: Draws the bins.

        Returns:
            The hash, with at least one bin.
        """
        size = max(1, int(dimension * rate))
        return cls(bins=torch.randint(size, (dimension,), generator=generator), size=size)

    @property
    def components(self) -> int:
        """Number of bins."""
        return self.size

    def transform(self, vectors: Tensor) -> Tensor:
        """Map vectors `[n, d]` to their hashes, `[n, size]`."""
        return vectors.new_zeros(len(vectors), self.size).index_add_(1, self.bins, vectors)
