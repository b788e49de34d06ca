"""Decoding of image files into one float32 tensor, without a second copy of it."""

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from palimpsest.errors import DatasetError
from palimpsest.progress import warn
from palimpsest.system.memory import require_memory

Size = tuple[int, int]
"""Height and width in pixels."""

Encoded = tuple[str, bytes | Path]
"""Name of an image for messages, and its file or the file's bytes."""

_GRAY = {"1", "L", "LA", "La"}
_CHUNK = 1024
# Not every format that Pillow reads: it passes PostScript to an interpreter.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MOST_PIXELS = 2**24
_CHECK_BYTES = 2**26
_ORIENTATION = 0x0112
"""EXIF tag; 1 means upright, 2 to 8 turned or mirrored."""


def decode_images(files: Iterable[Encoded], size: Size | None = None, *, upright: bool = False) -> Tensor:
    """Decode images of one size.

    Gray images have one channel, or three if any image of the set is in color. Alpha channels are dropped. Of 16-bit
    gray the upper eight bits are kept.

    Args:
        files: Encoded images: BMP, GIF, JPEG, PNG, PPM, TIFF or WebP, in any mode that Pillow reads as 8-bit gray or
            color, of at most 2^24 pixels, since a tiny file can declare more pixels than fit into memory.
        size: Height and width to scale every image to (bicubic, antialiased). If omitted, images keep their size.
        upright: Turn each image by its EXIF orientation, as Hugging Face's `datasets` does. If False, the
            orientation is
            not applied, as in torchvision's `ImageFolder`; a warning gives the number of such images.

    Returns:
        `[n, channels, height, width]`, float32 in [0, 1].

    Raises:
        DatasetError: There are no images, one can't be read, or sizes differ; the message names the first such image.
        ResourceError: The images do not fit into memory.
    """
    pixels: list[np.ndarray] = []
    # A list may name a file many times. It is decoded once, and counted each time.
    decoded: dict[Path, np.ndarray] = {}
    first, total_bytes, next_check = "", 0, _CHECK_BYTES
    turned = list[str]()
    for place, file in files:
        image = decoded.get(file) if isinstance(file, Path) else None
        if image is None:
            image, oriented = _decode(place, file, size, upright=upright)
            turned += [place] * oriented
            if isinstance(file, Path):
                decoded[file] = image
        first = first or place
        if pixels and image.shape[:2] != pixels[0].shape[:2]:
            raise DatasetError(
                f"{place} has {_format_size(image)} pixels, but {first} has {_format_size(pixels[0])}. "
                "Scale all images to one size with image_size."
            )
        pixels.append(image)
        total_bytes += image.nbytes
        if total_bytes >= next_check:
            next_check = 2 * total_bytes
            # As many images again as there are so far, and all of them as float32.
            _require_pixels(len(pixels), 9 * total_bytes)
    if not pixels:
        raise DatasetError("There are no images to decode.")
    _require_pixels(len(pixels), 4 * total_bytes)
    if turned and not upright:
        warn(
            f"{len(turned):,} of {len(pixels):,} images, such as {turned[0]}, have an EXIF orientation. It "
            f"is not applied, "
            "as in torchvision's ImageFolder. If the federation turned its images, save them upright."
        )
    return _to_tensor(pixels)


def scale(image: Image.Image, size: Size | None) -> Image.Image:
    """Scale one image to a height and width (bicubic, antialiased). None means to keep its size."""
    if size is None or size == (image.height, image.width):
        return image
    height, width = size
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _decode(place: str, file: bytes | Path, size: Size | None, *, upright: bool) -> tuple[np.ndarray, bool]:
    """Return the pixels of an image, and whether its EXIF data ask to turn it."""
    try:
        with Image.open(BytesIO(file) if isinstance(file, bytes) else file, formats=_FORMATS) as image:
            _check_pixels(image)
            oriented = image.getexif().get(_ORIENTATION, 1) in range(2, 9)
            turned = ImageOps.exif_transpose(image) if oriented and upright else image
            return np.asarray(scale(_convert_to_eight_bit(turned), size)), oriented
    # Pillow's decoders raise almost any type of error for a damaged file.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(f"{place} can't be read as an image ({reason}). Replace or remove it.") from error


def _require_pixels(count: int, needed: int) -> None:
    """Raise a `ResourceError` if the decoded images do not fit into memory."""
    require_memory(
        f"The pixels of at least {count:,} images",
        needed,
        remedy="use smaller images with image_size, or fewer images",
    )


def _check_pixels(image: Image.Image) -> None:
    # So far only the header has been read.
    if image.width * image.height > _MOST_PIXELS:
        raise ValueError(
            f"its header declares {image.width} x {image.height} pixels, but at most {_MOST_PIXELS:,} are decoded"
        )


def _convert_to_eight_bit(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB"):
        return image
    if image.mode in _GRAY:
        return image.convert("L")
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} have no known range; save it with 8 bits")
    # Pillow warns about a palette's transparency unless the image is converted to RGBA first.
    return image.convert("RGBA").convert("RGB") if image.mode in ("P", "PA") else image.convert("RGB")


def _to_tensor(pixels: list[np.ndarray]) -> Tensor:
    height, width = pixels[0].shape[:2]
    channels = 3 if any(image.ndim == 3 for image in pixels) else 1
    images = torch.empty(len(pixels), channels, height, width)
    for start in range(0, len(pixels), _CHUNK):
        chunk = [image if image.ndim == 3 else image[..., None] for image in pixels[start : start + _CHUNK]]
        stacked = np.stack([np.broadcast_to(image, (height, width, channels)) for image in chunk])
        images[start : start + _CHUNK] = torch.from_numpy(stacked).movedim(3, 1)
    return images.div_(255)


def _format_size(image: np.ndarray) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"
