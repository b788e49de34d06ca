"""What every place that images come from can do."""

from abc import ABC, abstractmethod

from torch import Tensor

from palimpsest.datasets.decode import Size
from palimpsest.datasets.images import ImageSet


class Source(ABC):
    """Where images come from, found but not read yet; equal sources hold the same images."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits there are: `train`, `test`, and `public` where unlabelled images come with the set."""
        return ("train", "test")

    @abstractmethod
    def count(self, split: str) -> int:
        """How many images a split has, without decoding them.

        Raises:
            DatasetError: The images' files are missing or unreadable.
        """

    @abstractmethod
    def read(self, split: str, *, rows: Tensor | None = None, size: Size | None = None) -> ImageSet:
        """Decode a split, or some of its rows.

        Args:
            split: One of `splits`.
            rows: Only these rows of the split, int64, ascending; none takes all.
            size: Scale every image to this height and width; none leaves them as they are.

        Raises:
            DatasetError: An image or label is missing, unreadable or out of range, or sizes differ.
        """
