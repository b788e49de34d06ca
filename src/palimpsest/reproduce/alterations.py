"""Alterations of candidate images: copies of a forgotten image that are not the same tensor."""

import io
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor

Alteration = Callable[[Tensor, Generator], Tensor]
"""Function from images `[n, c, h, w]` in [0, 1] and a generator to altered images of the same shape."""


def add_levels(images: Tensor, levels: int, generator: Generator) -> Tensor:
    """Add Gaussian noise to images of 8 bits.

    Args:
        images: `[n, c, h, w]` in [0, 1].
        levels: Standard deviation of the noise in gray levels of 256.
        generator: Source of the noise.
    """
    return (images + levels / 255 * torch.randn(images.shape, generator=generator)).clamp(0, 1)


def recompress(images: Tensor, quality: int) -> Tensor:
    """Encode and decode images as JPEG.

    Args:
        images: `[n, c, h, w]` in [0, 1], c 1 or 3.
        quality: Quality of the encoder, 1 to 95.
    """
    return torch.stack([_through_jpeg(image, quality) for image in images])


def resize(images: Tensor, factor: float) -> Tensor:
    """Shrink images and enlarge them again, by bilinear interpolation.

    Args:
        images: `[n, c, h, w]` in [0, 1].
        factor: Size of the small image as a share of the original size, in (0, 1).
    """
    height, width = images.shape[-2:]
    small = F.interpolate(
        images,
        size=(max(1, round(factor * height)), max(1, round(factor * width))),
        mode="bilinear",
        antialias=True,
    )
    return F.interpolate(small, size=(height, width), mode="bilinear").clamp(0, 1)


def crop(images: Tensor) -> Tensor:
    """Cut a pixel from each side and enlarge the rest to the original size.

    Args:
        images: `[n, c, h, w]` in [0, 1].
    """
    return F.interpolate(images[..., 1:-1, 1:-1], size=images.shape[-2:], mode="bilinear").clamp(0, 1)


ALTERATIONS: dict[str, Alteration] = {
    "exact": lambda images, _: images,
    "noise of one gray level": lambda images, generator: add_levels(images, 1, generator),
    "noise of four gray levels": lambda images, generator: add_levels(images, 4, generator),
    "JPEG 95": lambda images, _: recompress(images, 95),
    "JPEG 75": lambda images, _: recompress(images, 75),
    "JPEG 50": lambda images, _: recompress(images, 50),
    "resized to 3/4 and back": lambda images, _: resize(images, 0.75),
    "cropped by a pixel": lambda images, _: crop(images),
}
"""Alterations by name, from none to the strongest."""


def _through_jpeg(image: Tensor, quality: int) -> Tensor:
    values = (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    picture, buffer = Image.fromarray(values.squeeze(-1) if values.shape[-1] == 1 else values), io.BytesIO()
    picture.save(buffer, format="JPEG", quality=quality)
    decoded = torch.from_numpy(np.array(Image.open(buffer), dtype=np.float32)) / 255
    return decoded.reshape(values.shape).permute(2, 0, 1)
