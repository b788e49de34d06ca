"""Image files to one float32 tensor, without a second copy of it."""

from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from palimpsest.errors import DatasetError
from palimpsest.system.memory import require_memory

Size = tuple[int, int]
"""Height and width in pixels."""

Encoded = tuple[str, bytes | Path]
"""Where an image stands, for messages, and its file or the file's bytes."""

_GRAY = {"1", "L", "LA", "La"}
_CHUNK = 1024
# Not everything that Pillow knows: it hands PostScript to an interpreter.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_MOST_PIXELS = 2**24
_CHECK_BYTES = 2**26


def decode_images(files: Iterable[Encoded], size: Size | None = None) -> Tensor:
    """Decode images of one size.

    Gray images give one channel, or three where the same set holds color; an alpha channel is dropped;
    16-bit gray keeps its upper eight bits.

    Args:
        files: Encoded images: BMP, GIF, JPEG, PNG, PPM, TIFF or WebP, in any mode that Pillow reads as 8-bit gray
            or color, of at most 2^24 pixels: a few bytes can claim to be more than memory holds.
        size: Scale every image to this height and width (bicubic, antialiased); none leaves them as they are.

    Returns:
        `[n, channels, height, width]`, float32 in [0, 1].

    Raises:
        DatasetError: There is no image, one can't be read, or sizes differ; the message names the first such.
    """
    pixels: list[np.ndarray] = []
    # A list may name a file many times: it is decoded once, and counted each time.
    known: dict[Path, np.ndarray] = {}
    first, held, checked = "", 0, _CHECK_BYTES
    for place, file in files:
        image = known.get(file) if isinstance(file, Path) else None
        if image is None:
            image = _decode(place, file, size)
            if isinstance(file, Path):
                known[file] = image
        first = first or place
        if pixels and image.shape[:2] != pixels[0].shape[:2]:
            raise DatasetError(
                f"{place} is {_spell(image)} pixels where {first} is {_spell(pixels[0])}: "
                "scale all images to one size with image_size."
            )
        pixels.append(image)
        held += image.nbytes
        if held >= checked:
            checked = 2 * held
            _require_room(len(pixels), held)
    if not pixels:
        raise DatasetError("There are no images to decode.")
    _require_room(len(pixels), 0, total=4 * held)
    return _to_tensor(pixels)


def scale(image: Image.Image, size: Size | None) -> Image.Image:
    """Scale one image to a height and width (bicubic, antialiased), unless it has them or none are given."""
    if size is None or size == (image.height, image.width):
        return image
    height, width = size
    return image.resize((width, height), Image.Resampling.BICUBIC)


def _decode(place: str, file: bytes | Path, size: Size | None) -> np.ndarray:
    try:
        with Image.open(BytesIO(file) if isinstance(file, bytes) else file, formats=_FORMATS) as image:
            _check_pixels(image)
            return np.asarray(scale(_eight_bit(image), size))
    # A broken file leads Pillow's decoders into errors of almost any type.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DatasetError(f"{place} can't be read as an image ({reason}): replace or remove it.") from error


def _require_room(count: int, held: int, *, total: int = 0) -> None:
    """Refuse a set whose pixels do not fit: as many again as there are so far, and all of them as float32."""
    require_memory(
        f"The pixels of {count:,} images and more",
        total or 9 * held,
        remedy="take smaller images with image_size, or fewer",
    )


def _check_pixels(image: Image.Image) -> None:
    # Opening has read the header only.
    if image.width * image.height > _MOST_PIXELS:
        raise ValueError(
            f"it says that it has {image.width} x {image.height} pixels, and at most {_MOST_PIXELS:,} are decoded"
        )


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB"):
        return image
    if image.mode in _GRAY:
        return image.convert("L")
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"the range of its pixels, of mode {image.mode}, is not known; save it with 8 bits")
    # Pillow warns about a palette's transparency unless it passes through an alpha channel.
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


def _spell(image: np.ndarray) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"
