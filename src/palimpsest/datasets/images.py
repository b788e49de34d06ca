"""Labelled images in memory, checked once when they are made."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from palimpsest.errors import DatasetError
from palimpsest.records import tensor_hash


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images.

    Attributes:
        name: What messages and reports call the set.
        images: `[n, channels, height, width]`, float32 in [0, 1]; n may be 0 in a subset.
        labels: `[n]`, int64 in 0 ... classes - 1.
        classes: How many classes there are, also those that no image here belongs to.

    Raises:
        DatasetError: A type, shape, pixel or label that is not as above; a wrong row is named.
    """

    name: str
    images: Tensor
    labels: Tensor
    classes: int

    def __post_init__(self) -> None:
        _check_images(self.images, self.name)
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise DatasetError(
                f"{self.name} has labels of type {self.labels.dtype} and shape {list(self.labels.shape)}: "
                f"give int64 of shape [{len(self.images)}], one for each image."
            )
        check_labels(self.labels, self.classes, self.name)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def subset(self, indices: Tensor) -> "ImageSet":
        """Copy some rows, in the order given.

        Args:
            indices: Rows, `[m]` int64; a row may come twice.

        Raises:
            DatasetError: A row that is not there.
        """
        if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < len(self):
            wrong = indices[(indices < 0) | (indices >= len(self))][0]
            raise DatasetError(f"{self.name} has no row {int(wrong)}: its rows are 0 to {len(self) - 1}.")
        return ImageSet(self.name, self.images[indices], self.labels[indices], self.classes)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of images, labels and number of classes, in hexadecimal; the name does not matter."""
        return tensor_hash(self.images, self.labels, torch.tensor(self.classes))


def check_labels(labels: Tensor, classes: int, place: str) -> None:
    """Refuse labels outside 0 ... classes - 1.

    Args:
        labels: `[n]`, int64.
        classes: How many classes there are.
        place: What the message calls the set.

    Raises:
        DatasetError: Names the first wrong row and its label.
    """
    wrong = ((labels < 0) | (labels >= classes)).nonzero()
    if len(wrong):
        row = int(wrong[0])
        raise DatasetError(
            f"Row {row} of {place} has label {int(labels[row])}, outside 0 to {classes - 1}: "
            "mend the label or leave the row out."
        )


def _check_images(images: Tensor, name: str) -> None:
    if images.dtype != torch.float32 or images.dim() != 4 or 0 in images.shape[1:]:
        raise DatasetError(
            f"{name} has images of type {images.dtype} and shape {list(images.shape)}: "
            "give float32 of shape [n, channels, height, width]."
        )
    if not images.numel():
        return
    low, high = images.aminmax()
    # A NaN fails both comparisons, as an infinity fails one.
    if not (low >= 0 and high <= 1):
        fine = ((images >= 0) & (images <= 1)).flatten(1).all(dim=1)
        row = int((~fine).nonzero()[0])
        raise DatasetError(
            f"Row {row} of {name} has pixels outside [0, 1] or not finite: "
            "scale 8-bit images by 1/255 and leave normalisation to the model."
        )
