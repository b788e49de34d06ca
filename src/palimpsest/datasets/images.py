"""Labeled images in memory, checked once when they are made."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from palimpsest.datasets.samples import SampleSet, check_label_type, check_labels
from palimpsest.errors import DatasetError

__all__ = ["ImageSet", "check_labels", "in_channels"]

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, eq=False)
class ImageSet(SampleSet):
    """Labeled images.

    Attributes:
        name: What messages and reports call the set.
        images: `[n, channels, height, width]`, float32 in [0, 1]; n may be 0 in a subset.
        labels: `[n]`, int64 in 0 ... classes - 1.
        classes: How many classes there are, also those that no image here belongs to.

    Raises:
        DatasetError: A type, shape, pixel or label that is not as above; a wrong row is named.
    """

    field: ClassVar[str] = "images"
    kind: ClassVar[str] = "images"
    name: str
    images: Tensor
    labels: Tensor
    classes: int

    def __post_init__(self) -> None:
        _check_images(self.images, self.name)
        check_label_type(self.labels, len(self.images), self.name)
        check_labels(self.labels, self.classes, self.name)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width


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
            "scale 8-bit images by 1/255 and leave normalization to the model."
        )


def in_channels(some: ImageSet, channels: int) -> ImageSet:
    """Gray images repeated to color, or color images weighted to gray (ITU-R 601-2 luma).

    Args:
        some: Gray or color images.
        channels: 1 for gray, 3 for color.
    """
    if some.shape[0] == channels:
        return some
    if some.shape[0] == 1:
        return replace(some, images=some.images.repeat(1, channels, 1, 1))
    weights = some.images.new_tensor(_LUMA).view(1, 3, 1, 1)
    return replace(some, images=F.conv2d(some.images, weights).clamp_(0, 1))
