"""What every place that images come from can do."""

from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from palimpsest.datasets.decode import Size
from palimpsest.datasets.images import ImageSet
from palimpsest.errors import DatasetError


class Source(ABC):
    """Where images come from, found but not read yet; equal sources hold the same images.

    A subclass that is registered in `DATASETS`, or that an entry point of the group `palimpsest.datasets` names, is a
    known set.
    """

    @classmethod
    def open(cls, data_dir: Path | None) -> Self:
        """The known set of this class; one that reads files overrides it.

        Args:
            data_dir: A folder that mirrors data sets, absolute, or none.
        """
        return cls()

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits there are: `train`, `test`, and `public` where unlabeled images come with the set."""
        return ("train", "test")

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes' names, in the order of their numbers; empty where they are not known."""
        return ()

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

    def read_all(self, *, size: Size | None = None) -> ImageSet:
        """Decode everything: split by split, the training images first, or the source's own order where it has one.

        Args:
            size: As for `read`.

        Raises:
            DatasetError: As for `read`.
        """
        parts = [
            self.read(split, size=size) for split in self.splits if split != "public" and self.count(split)
        ]
        if len({part.images.shape[1:] for part in parts}) > 1:
            raise DatasetError(
                f"{parts[0].name} has images of {list(parts[0].shape)} and of {list(parts[1].shape)}: bring all to one "
                "size with image_size."
            )
        images, labels = (torch.cat([getattr(part, name) for part in parts]) for name in ("images", "labels"))
        return replace(parts[0], images=images, labels=labels, classes=max(part.classes for part in parts))
