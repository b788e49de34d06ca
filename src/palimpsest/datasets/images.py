"""Labeled images in memory, validated on construction."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from palimpsest.datasets.reading import ReadingRecord
from palimpsest.datasets.samples import SampleSet, check_label_type, check_labels
from palimpsest.errors import DatasetError

__all__ = ["ImageSet", "check_labels", "convert_channels"]

_LUMA = (0.299, 0.587, 0.114)
_PILLOW_LUMA = (19595, 38470, 7471)
"""The same weights in units of 1/65536, as Pillow rounds them."""
_CHUNK = 1024


@dataclass(frozen=True, eq=False)
class ImageSet(SampleSet):
    """Labeled images.

    Attributes:
        name: Name of the set in messages and reports.
        images: `[n, channels, height, width]`, float32 in [0, 1]; n may be 0 in a subset.
        labels: `[n]`, int64 from 0 to `classes - 1`.
        classes: Number of classes, including those without an image in this set.
        reading: What was done to the files that the images were read from; None if they come from elsewhere.

    Raises:
        DatasetError: A type, shape, pixel or label is not as described; the message names the first wrong row.

    Example:
        >>> import torch
        >>> from palimpsest import ImageSet
        >>> noise = ImageSet("noise", torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 0, 2]), classes=3)
        >>> len(noise), noise.shape
        (4, (1, 8, 8))
        >>> noise.subset(torch.tensor([3, 0])).labels.tolist()
        [2, 0]
    """

    field: ClassVar[str] = "images"
    kind: ClassVar[str] = "images"
    name: str
    images: Tensor
    labels: Tensor
    classes: int
    reading: ReadingRecord | None = None

    def __post_init__(self) -> None:
        """Validate images and labels."""
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
            f"{name} has images of type {images.dtype} and shape {list(images.shape)}. "
            "Pass float32 of shape [n, channels, height, width]."
        )
    if not images.numel():
        return
    low, high = images.aminmax()
    # NaN fails both comparisons, and infinity fails one.
    if not (low >= 0 and high <= 1):
        valid = ((images >= 0) & (images <= 1)).flatten(1).all(dim=1)
        row = int((~valid).nonzero()[0])
        raise DatasetError(
            f"Row {row} of {name} has pixels that are outside [0, 1] or not finite. "
            "Scale 8-bit images by 1/255, and leave normalization to the model."
        )


def convert_channels(samples: ImageSet, channels: int) -> ImageSet:
    """Convert between gray and color images.

    Args:
        samples: Gray or color images.
        channels: 3 to repeat gray images in every channel; 1 to reduce color images to their luma (ITU-R 601-2). Images
            of 8 bits get exactly the values of Pillow's `convert("L")`, and so of torchvision's `Grayscale`.

    Returns:
        The converted images, or the same set if it has these channels already.
    """
    if samples.shape[0] == channels:
        return samples
    if samples.shape[0] == 1:
        return replace(samples, images=samples.images.repeat(1, channels, 1, 1))
    gray = torch.cat([_luma(chunk) for chunk in torch.split(samples.images, _CHUNK)])
    return replace(samples, images=gray)


def _luma(images: Tensor) -> Tensor:
    """Reduce color images `[n, 3, height, width]` to gray ones `[n, 1, height, width]`."""
    levels = (images * 255).round()
    if not torch.equal(levels / 255, images):
        return F.conv2d(images, images.new_tensor(_LUMA).view(1, 3, 1, 1)).clamp_(0, 1)
    red, green, blue = (
        weight * channel.int() for weight, channel in zip(_PILLOW_LUMA, levels.unbind(dim=1), strict=True)
    )
    return ((red + green + blue + 2**15) >> 16).float().div_(255)[:, None]
