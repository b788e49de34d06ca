"""Base class of the random linear maps that shorten vectors before they are stored."""

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor

from palimpsest.storage import Record


@dataclass(frozen=True)
class VectorSketch(Record):
    """Random linear map of vectors to shorter ones that preserves inner products on average."""

    @property
    @abstractmethod
    def components(self) -> int:
        """Length k of a sketch."""

    @abstractmethod
    def transform(self, vectors: Tensor) -> Tensor:
        """Map vectors `[n, d]` to their sketches, `[n, k]`."""

    def __call__(self, vectors: Tensor) -> Tensor:
        """Call `transform`."""
        return self.transform(vectors)

    @abstractmethod
    def add(self, result: Tensor, columns: Tensor, *, start: int, sign: int = 1) -> None:
        """Add the contribution of a range of columns to sketches.

        Args:
            result: Sum that the contribution is added to in place, `[n, k]`.
            columns: Adjacent columns of the vectors, `[n, width]`.
            start: Index of the first of these columns.
            sign: 1 to add the contribution, -1 to subtract it.
        """
