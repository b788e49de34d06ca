"""Decoding of image files into one float32 tensor, without a second copy of it."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from palimpsest.datasets.reading import Decoding, ReadingRecord, report_changes
from palimpsest.errors import DatasetError
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
_BITS_PER_SAMPLE = 258
"""TIFF tag with the bit depth of each channel."""
_PILLOW_WHITE = 255


@dataclass(frozen=True)
class _Decoded:
    """One image.

    Args:
        pixels: `[height, width]` or `[height, width, 3]`, uint8, or float32 in [0, 1] if it had more than 8 bits.
        depth: Bits a channel in the file.
        changes: What was done to the image.
    """

    pixels: np.ndarray
    depth: int
    changes: tuple[str, ...]


def decode_images(
    files: Iterable[Encoded],
    size: Size | None = None,
    *,
    decoding: Decoding | None = None,
    record: ReadingRecord | None = None,
) -> Tensor:
    """Decode images of one size.

    Gray images have one channel, or three if any image of the set is in color. The values are those of Pillow's
    `convert("L")` and `convert("RGB")`, which torchvision's `ImageFolder` calls. What that loses is reported: alpha
    channels, frames after the first, and bits of 16-bit color images.

    Args:
        files: Encoded images: BMP, GIF, JPEG, PNG, PPM, TIFF or WebP of at most 2^24 pixels, since a tiny file can
            declare more pixels than fit into memory.
        size: Height and width to scale every image to (bicubic, antialiased). If omitted, images keep their size.
        decoding: How to read images of more than 8 bits or with an EXIF orientation. If omitted, the former are
            refused, and the orientation is not applied.
        record: Counts what was read. If omitted, nothing is counted.

    Returns:
        `[n, channels, height, width]`, float32 in [0, 1].

    Raises:
        DatasetError: There are no images, one can't be read, or sizes differ; the message names the first such image.
        ResourceError: The images do not fit into memory.
    """
    decoding, record = decoding or Decoding(), record or ReadingRecord()
    pixels: list[np.ndarray] = []
    first, total_bytes, next_check = "", 0, _CHECK_BYTES
    changed = list[tuple[str, str]]()
    for place, image in _decode_each(files, size, decoding):
        first = first or place
        if pixels and image.pixels.shape[:2] != pixels[0].shape[:2]:
            raise DatasetError(
                f"{place} has {_format_size(image.pixels)} pixels, but {first} has {_format_size(pixels[0])}. "
                "Scale all images to one size with image_size."
            )
        pixels.append(image.pixels)
        changed += [(change, place) for change in image.changes]
        record.depths[image.depth] += 1
        record.changes.update(image.changes)
        total_bytes += image.pixels.nbytes
        if total_bytes >= next_check:
            next_check = 2 * total_bytes
            # As many images again as there are so far, and all of them as float32.
            _require_pixels(len(pixels), 9 * total_bytes)
    if not pixels:
        raise DatasetError("There are no images to decode.")
    _require_pixels(len(pixels), 4 * total_bytes)
    report_changes(changed, len(pixels))
    return _to_tensor(pixels)


def _decode_each(
    files: Iterable[Encoded], size: Size | None, decoding: Decoding
) -> Iterator[tuple[str, _Decoded]]:
    """Yield the name of each image and the image. A list may name a file many times; it is decoded once."""
    known: dict[Path, _Decoded] = {}
    for name, file in files:
        place = readable(name)
        image = known.get(file) if isinstance(file, Path) else None
        if image is None:
            image = _decode(place, file, size, decoding)
            if isinstance(file, Path):
                known[file] = image
        yield place, image


def scale(image: Image.Image, size: Size | None) -> Image.Image:
    """Scale one image to a height and width (bicubic, antialiased). None means to keep its size."""
    if size is None or size == (image.height, image.width):
        return image
    height, width = size
    return image.resize((width, height), Image.Resampling.BICUBIC)


def readable(name: str) -> str:
    """Return a file's name as text that can be written; Python represents bytes that are not UTF-8 as surrogates."""
    return os.fsencode(name).decode("utf-8", errors="backslashreplace")


def _decode(place: str, file: bytes | Path, size: Size | None, decoding: Decoding) -> _Decoded:
    try:
        with Image.open(BytesIO(file) if isinstance(file, bytes) else file, formats=_FORMATS) as image:
            _check_pixels(image)
            depth, changes = _bit_depth(image), list[str]()
            if getattr(image, "is_animated", False):
                changes.append("first frame of several")
            image.load()
            # Pillow has turned a TIFF image when it has loaded it, and removed the tag.
            if image.getexif().get(_ORIENTATION, 1) in range(2, 9):
                applied = decoding.orientation == "apply"
                changes.append("orientation applied" if applied else "orientation ignored")
                turned = ImageOps.exif_transpose(image) if applied else image
            else:
                turned = image
            if _is_transparent(turned):
                changes.append("transparency dropped")
            pixels, lost = _pixels(turned, size, depth, decoding.white_level)
            return _Decoded(pixels, depth, (*changes, *lost))
    except DatasetError as error:
        raise DatasetError(f"{place} {error}") from None
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


def _bit_depth(image: Image.Image) -> int:
    """Return the bits a channel of an image that is open, but not loaded yet."""
    file: Any = image
    if image.format == "TIFF":
        return max(file.tag_v2.get(_BITS_PER_SAMPLE, (1,)))
    arguments = file.tile[0].args if file.tile else ""
    if image.format == "PPM" and isinstance(arguments, tuple) and isinstance(arguments[-1], int):
        return arguments[-1].bit_length()  # the greatest value
    # The raw mode of a PNG image, such as RGB;16B or L;4.
    _, _, bits = (arguments if isinstance(arguments, str) else "").partition(";")
    digits = bits.rstrip("BLINRS")
    return int(digits) if digits.isdigit() else 1 if image.mode == "1" else 8


def _is_transparent(image: Image.Image) -> bool:
    """Whether a pixel is not fully opaque."""
    if not image.has_transparency_data or image.mode.startswith("I"):
        return False
    alpha: Any = image.convert("RGBA").getchannel("A").getextrema()
    return alpha[0] < 255


def _pixels(
    image: Image.Image, size: Size | None, depth: int, white_level: float | None
) -> tuple[np.ndarray, list[str]]:
    """Return an image's pixels at the wanted size, and what was lost."""
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_pixels(image, size, depth, white_level)
    lost = ["upper 8 bits of 16"] if depth > 8 and image.mode != "L" else []
    if image.mode not in ("L", "RGB"):
        if image.mode in ("P", "PA"):
            # Pillow warns about a palette's transparency unless the image is converted to RGBA first.
            image = image.convert("RGBA")
        image = image.convert("L" if image.mode in _GRAY else "RGB")
    return np.asarray(scale(image, size)), lost


def _deep_pixels(
    image: Image.Image, size: Size | None, depth: int, white_level: float | None
) -> tuple[np.ndarray, list[str]]:
    """Return the pixels of a gray image of more than 8 bits; `white_level` says which value is white."""
    values = np.asarray(image)
    lowest, highest = float(values.min()), float(values.max())
    if not np.isfinite([lowest, highest]).all():
        raise ValueError("a pixel is not a finite number")
    if white_level is None:
        raise DatasetError(
            f"is a gray image with {depth} bits a pixel and values from {lowest:g} to {highest:g}, which federations "
            "read in different ways. Set white_level to the value that was white: 255 if Pillow's convert or "
            "torchvision's ImageFolder read it, which clips greater values; 65535, 4095 or 1 if the values were "
            "divided by that."
        )
    lost = ["clipped at the white level"] * (lowest < 0 or highest > white_level)
    if white_level == _PILLOW_WHITE:
        return np.asarray(scale(image.convert("L"), size)), lost
    scaled = np.clip(values.astype(np.float32) / np.float32(white_level), 0, 1)
    return np.asarray(scale(Image.fromarray(scaled), size)).clip(0, 1), lost


def _to_tensor(pixels: list[np.ndarray]) -> Tensor:
    height, width = pixels[0].shape[:2]
    channels = 3 if any(image.ndim == 3 for image in pixels) else 1
    images = torch.empty(len(pixels), channels, height, width)
    for start in range(0, len(pixels), _CHUNK):
        chunk = [image if image.ndim == 3 else image[..., None] for image in pixels[start : start + _CHUNK]]
        if any(image.dtype != np.uint8 for image in chunk):
            chunk = [image / np.float32(255) if image.dtype == np.uint8 else image for image in chunk]
        stacked = np.stack([np.broadcast_to(image, (height, width, channels)) for image in chunk])
        part = images[start : start + _CHUNK]
        part[:] = torch.from_numpy(stacked).movedim(3, 1)
        if stacked.dtype == np.uint8:
            part.div_(255)
    return images


def _format_size(image: np.ndarray) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"
