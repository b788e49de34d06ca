"""Base class of the sources of images."""

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from palimpsest.datasets.decode import Size
from palimpsest.datasets.images import ImageSet
from palimpsest.errors import DatasetError


class Source(ABC):
    """Source of images that reads them on demand. Equal sources hold the same images.

    A subclass becomes a known set if it is registered in `DATASETS` or named by an entry point of the group
    `palimpsest.datasets`.
    """

    @classmethod
    def open(cls, data_dir: Path | None) -> Self:
        """Create the known set of this class. Subclasses that read files override it.

        Args:
            data_dir: Absolute path of a folder that mirrors data sets, or None.

        Returns:
            The source.
        """
        return cls()

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits: `train`, `test`, and `public` if the set has unlabeled images."""
        return ("train", "test")

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their numbers; empty if unknown."""
        return ()

    @abstractmethod
    def count(self, split: str) -> int:
        """Return the number of images in a split, without decoding them.

        Args:
            split: One of `splits`.

        Returns:
            The number of images.

        Raises:
            DatasetError: The images' files are missing or unreadable.
        """

    @abstractmethod
    def read(self, split: str, *, rows: Tensor | None = None, size: Size | None = None) -> ImageSet:
        """Decode a split, or a selection of its rows.

        Args:
            split: One of `splits`.
            rows: The rows of the split to read, int64, ascending. If omitted, all rows are read.
            size: Height and width to scale every image to. If omitted, images keep their size.

        Returns:
            The images, in the order of their rows.

        Raises:
            DatasetError: An image or label is missing, unreadable or out of range, or sizes differ.
        """

    def read_all(self, *, size: Size | None = None) -> ImageSet:
        """Decode all labeled images, in the order of `splits` unless a subclass defines another order.

        Args:
            size: Height and width to scale every image to. If omitted, images keep their size.

        Returns:
            The images of all splits except `public`.

        Raises:
            DatasetError: An image or label is missing, unreadable or out of range, or sizes differ.
        """
        parts = [
            self.read(split, size=size) for split in self.splits if split != "public" and self.count(split)
        ]
        if len({part.images.shape[1:] for part in parts}) > 1:
            raise DatasetError(
                f"{parts[0].name} has images of shape {list(parts[0].shape)} and of shape {list(parts[1].shape)}. "
                "Scale all images to one size with image_size."
            )
        images, labels = (torch.cat([getattr(part, name) for part in parts]) for name in ("images", "labels"))
        readings = [part.reading for part in parts if part.reading is not None]
        return replace(
            parts[0],
            images=images,
            labels=labels,
            classes=max(part.classes for part in parts),
            reading=reduce(add, readings) if readings else None,
        )
