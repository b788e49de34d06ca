"""Queries for the oracle: the auxiliary images and augmented copies of them (IGF, section 3.1)."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from palimpsest.datasets import ImageSet

# The label stays correct under small changes: about a tenth of the side, of the value range, and of the contrast.
_SHIFT, _BRIGHTNESS, _TINT, _CONTRAST = 0.1, 0.1, 0.05, 0.15
_LARGEST_SHARE = 0.5
_CHUNK = 1024


@dataclass(frozen=True)
class Queries:
    """Images for the oracle, with the labels that the auditor assigns to them.

    Args:
        images_uint8: Images as 8-bit integers, `[m, channels, height, width]`; the auxiliary images come first.
        labels: Class labels, `[m]` int64.
    """

    images_uint8: Tensor
    labels: Tensor

    def __len__(self) -> int:
        """Return the number m of queries."""
        return len(self.images_uint8)

    def chunks(self, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the images, in [0, 1], and the labels of rows `start` to `stop - 1`, in chunks."""
        for row in range(start, stop, _CHUNK):
            rows = slice(row, min(row + _CHUNK, stop))
            yield self.images_uint8[rows].float() / 255, self.labels[rows]


def augmented_queries(
    auxiliary: ImageSet,
    per_image: int,
    *,
    mixup: float = 0.0,
    horizontal_flip: bool = True,
    generator: Generator,
) -> Queries:
    """Make queries: the auxiliary images, then their horizontal flips, then random variations.

    A random variation is shifted and changed in brightness, tint, and contrast. It may also be flipped and blended with
    another image.

    Args:
        auxiliary: The auditor's images.
        per_image: Number of queries for each image, including the image itself; 1 or more.
        mixup: Share of the random variations that are blended with another image, in [0, 1].
        horizontal_flip: Whether to flip images horizontally. If false, random variations take the place of the flips;
            use this for images of digits or text.
        generator: Draws the variations.

    Returns:
        The queries, `per_image` for each auxiliary image.
    """
    unchanged = _to_uint8(auxiliary.images)
    variants = [unchanged]
    for index in range(1, per_image):
        if index == 1 and horizontal_flip:
            variants.append(unchanged.flip(3))
        else:
            variants.append(
                torch.cat(
                    [
                        _to_uint8(_vary(chunk, horizontal_flip, mixup, generator))
                        for chunk in auxiliary.images.split(_CHUNK)
                    ]
                )
            )
    return Queries(torch.cat(variants), auxiliary.labels.repeat(per_image))


def _vary(images: Tensor, horizontal_flip: bool, mixup: float, generator: Generator) -> Tensor:
    """Draw a random variation of each image."""
    if horizontal_flip:
        flipped = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
        images = torch.where(flipped, images.flip(3), images)
    images = _relight(_shift(images, generator), generator)
    return _mix(images, mixup, generator) if mixup else images


def _shift(images: Tensor, generator: Generator) -> Tensor:
    """Shift each image by up to a tenth of its side, with reflection padding at the border."""
    count, _, height, width = images.shape
    reach = max(1, round(_SHIFT * min(height, width)))
    down, right = torch.randint(0, 2 * reach + 1, (2, count, 1), generator=generator)
    rows, columns = down + torch.arange(height), right + torch.arange(width)
    padded = F.pad(images, (reach,) * 4, mode="reflect" if min(height, width) > reach else "replicate")
    return padded[torch.arange(count).view(-1, 1, 1), :, rows.unsqueeze(2), columns.unsqueeze(1)].permute(
        0, 3, 1, 2
    )


def _relight(images: Tensor, generator: Generator) -> Tensor:
    """Change the contrast, brightness, and tint of each image."""
    count, channels = images.shape[:2]
    contrast = 1 + _CONTRAST * _symmetric((count, 1, 1, 1), generator)
    light = _BRIGHTNESS * _symmetric((count, 1, 1, 1), generator) + _TINT * _symmetric(
        (count, channels, 1, 1), generator
    )
    mean = images.mean((1, 2, 3), keepdim=True)
    return ((images - mean) * contrast + mean + light).clamp(0, 1)


def _mix(images: Tensor, mixup: float, generator: Generator) -> Tensor:
    """Blend randomly chosen images with another image of at most half the weight, so that the label stays correct."""
    other = torch.randint(0, len(images), (len(images),), generator=generator)
    share = _LARGEST_SHARE * torch.rand(len(images), 1, 1, 1, generator=generator)
    blended = torch.rand(len(images), 1, 1, 1, generator=generator) < mixup
    return torch.where(blended, torch.lerp(images, images[other], share), images)


def _to_uint8(images: Tensor) -> Tensor:
    return (images * 255).round().to(torch.uint8)


def _symmetric(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Draw uniform random numbers in [-1, 1)."""
    return 2 * torch.rand(shape, generator=generator) - 1
