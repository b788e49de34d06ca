"""Feature hashing, the reduction that IGF compares its SVD with (section C.4, Table 5)."""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor

from palimpsest.storage import Record


@dataclass(frozen=True)
class FeatureHash(Record):
    """Sum coordinates that fall into the same random bin (Weinberger et al. 2009, without signs, as Learning to
    Invert has it).

    Args:
        bins: The bin of each coordinate, `[d]` int64.
        size: The number of bins.
    """

    bins: Tensor
    size: int

    @classmethod
    def draw(cls, dimension: int, rate: float, *, generator: Generator) -> Self:
        """Draw a bin for each coordinate.

        Args:
            dimension: Length d of a vector.
            rate: Bins per coordinate, in (0, 1]; the paper's ResNet20 has 0.5.
            generator: Draws the bins.
        """
        size = max(1, int(dimension * rate))
        return cls(bins=torch.randint(size, (dimension,), generator=generator), size=size)

    @property
    def components(self) -> int:
        """The number of bins."""
        return self.size

    def transform(self, vectors: Tensor) -> Tensor:
        """Hash vectors: `[n, d]` to `[n, size]`."""
        return vectors.new_zeros(len(vectors), self.size).index_add_(1, self.bins, vectors)
