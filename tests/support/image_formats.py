"""The image formats that `decode_images` is tested with. docs/file_formats.py makes a table of them."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tests.support.format_case import FormatCase

from palimpsest.datasets.reading import Decoding

RANDOM = np.random.default_rng(0)
GRAY = RANDOM.integers(0, 256, (6, 8), dtype=np.uint8)
COLOR = RANDOM.integers(0, 256, (6, 8, 3), dtype=np.uint8)
FOUR = RANDOM.integers(0, 256, (6, 8, 4), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65_536, (6, 8), dtype=np.uint16)
TWELVE = RANDOM.integers(0, 4096, (6, 8), dtype=np.uint16)
UNIT = RANDOM.random((6, 8), dtype=np.float32)

ALPHA = "have transparent pixels. The transparency is dropped"
FRAMES = "have several frames or pages. Only the first is read"
UPPER = "are in color with 16 bits a channel. The upper 8 bits are read"
CLIPPED = "have values below 0 or above the white_level, which are clipped"
ORIENTATION = "have an EXIF orientation. It is not applied, as in torchvision's ImageFolder"
WHITE = "which federations read in different ways. Set white_level to the value that was white"


@dataclass(frozen=True)
class ImageFormat(FormatCase):
    """One image format.

    Args:
        decoding: How it is read.
        values: What it is read as, before the division by the white level, if not as by Pillow's `convert`.
    """

    decoding: Decoding = field(default_factory=Decoding)
    values: np.ndarray | None = None


def _saved(image: Image.Image, suffix: str, **settings: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / f"image{suffix}"
        image.save(path, "JPEG" if suffix == ".jfif" else None, **settings)
        return path

    return write


def _stored(content: bytes, suffix: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / f"image{suffix}"
        path.write_bytes(content)
        return path

    return write


def png_of_16_bits(pixels: np.ndarray, color_type: int) -> bytes:
    """Encode 16-bit pixels, `[height, width, channels]`, which Pillow can't write in color."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff_of_12_bits(pixels: np.ndarray) -> bytes:
    """Encode 12-bit gray pixels, two in three bytes, which Pillow reads but can't write."""
    first, second = pixels.reshape(-1, 2).T
    packed = (
        np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1)
        .astype(np.uint8)
        .tobytes()
    )
    height, width = pixels.shape
    tags = {256: width, 257: height, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(packed)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = struct.pack("<2sHI", b"II", 42, 8 + len(packed))
    return start + packed + struct.pack("<H", len(tags)) + entries + bytes(4)


def _oriented(suffix: str) -> Callable[[Path], Path]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(Image.fromarray(COLOR), suffix, exif=exif)


def _frames(suffix: str) -> Callable[[Path], Path]:
    first, *others = (Image.fromarray(np.roll(COLOR, shift)) for shift in range(3))
    return _saved(first, suffix, save_all=True, append_images=others)


_PALETTE = Image.fromarray(COLOR).quantize(16)
_DEEP: list[tuple[str, Callable[[Path], Path], np.ndarray, float]] = [
    ("PNG, 16-bit gray", _saved(Image.fromarray(DEEP), ".png"), DEEP, 65_535),
    ("PNG, 12-bit gray in 16 bits", _saved(Image.fromarray(TWELVE), ".png"), TWELVE, 4095),
    ("TIFF, 16-bit gray", _saved(Image.fromarray(DEEP), ".tif"), DEEP, 65_535),
    ("TIFF, 12-bit gray", _stored(tiff_of_12_bits(TWELVE), ".tiff"), TWELVE, 4095),
    ("TIFF, 32-bit integers", _saved(Image.fromarray(DEEP.astype(np.int32)), ".tif"), DEEP, 65_535),
    ("TIFF, floats", _saved(Image.fromarray(UNIT), ".tif"), UNIT, 1),
    ("PGM, 16-bit gray", _saved(Image.fromarray(DEEP), ".pgm"), DEEP, 65_535),
]

IMAGE_FORMATS: list[ImageFormat] = [
    ImageFormat("PNG, gray or color", _saved(Image.fromarray(COLOR), ".png")),
    ImageFormat("PNG, palette", _saved(_PALETTE, ".png")),
    ImageFormat("PNG, palette with transparency", _saved(_PALETTE, ".png", transparency=3), ALPHA),
    ImageFormat("PNG, alpha channel", _saved(Image.fromarray(FOUR), ".png"), ALPHA),
    ImageFormat(
        "PNG, gray with alpha channel", _saved(Image.merge("LA", [Image.fromarray(GRAY)] * 2), ".png"), ALPHA
    ),
    ImageFormat("PNG, 1 bit", _saved(Image.fromarray(GRAY).convert("1"), ".png")),
    ImageFormat("PNG, 16-bit color", _stored(png_of_16_bits(COLOR * np.uint16(257) - 9, 2), ".png"), UPPER),
    *(ImageFormat(title, write, refusal=WHITE) for title, write, _, _ in _DEEP),
    *(
        ImageFormat(title, write, setting=f"`white_level: {white}`", decoding=Decoding(white), values=values)
        for title, write, values, white in _DEEP
    ),
    *(
        ImageFormat(title, write, CLIPPED, setting="`white_level: 255`", decoding=Decoding(255))
        for title, write, values, _ in _DEEP
        if values.max() > 255
    ),
    ImageFormat("TIFF, 1 bit", _saved(Image.fromarray(GRAY).convert("1"), ".tif")),
    ImageFormat("TIFF, alpha channel", _saved(Image.fromarray(FOUR), ".tiff"), ALPHA),
    ImageFormat("TIFF, CMYK", _saved(Image.fromarray(FOUR, "CMYK"), ".tif")),
    ImageFormat("TIFF, several pages", _frames(".tif"), FRAMES),
    ImageFormat("TIFF, EXIF orientation (Pillow turns it)", _oriented(".tif")),
    ImageFormat("JPEG", _saved(Image.fromarray(COLOR), ".jpg")),
    ImageFormat("JPEG, `.jfif`", _saved(Image.fromarray(COLOR), ".jfif")),
    ImageFormat("JPEG, CMYK", _saved(Image.fromarray(FOUR, "CMYK"), ".jpeg")),
    ImageFormat("JPEG, EXIF orientation", _oriented(".jpg"), ORIENTATION),
    ImageFormat(
        "JPEG, EXIF orientation",
        _oriented(".jpg"),
        setting="`exif_orientation: apply`",
        decoding=Decoding(orientation="apply"),
    ),
    ImageFormat("WebP", _saved(Image.fromarray(COLOR), ".webp", lossless=True)),
    ImageFormat("WebP, alpha channel", _saved(Image.fromarray(FOUR), ".webp", lossless=True), ALPHA),
    ImageFormat("WebP, animated", _frames(".webp"), FRAMES),
    ImageFormat("PNG, animated", _frames(".png"), FRAMES),
    ImageFormat("GIF", _saved(_PALETTE, ".gif")),
    ImageFormat("GIF, animated", _frames(".gif"), FRAMES),
    ImageFormat("BMP", _saved(Image.fromarray(COLOR), ".bmp")),
    ImageFormat("PPM", _saved(Image.fromarray(COLOR), ".ppm")),
    ImageFormat(
        "an empty or truncated file", _stored(b"\x89PNG", ".png"), refusal="can't be read as an image"
    ),
]
