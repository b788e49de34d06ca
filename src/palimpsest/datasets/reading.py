"""Choices for the reading of image files, and a record of the files that were read."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from palimpsest.progress import warn

Orientation = Literal["ignore", "apply"]


@dataclass(frozen=True)
class Decoding:
    """Choices that a federation made when it read its images.

    Attributes:
        white_level: The value that becomes 1 in gray images of more than 8 bits; greater ones are clipped. 255 is the
            reading of Pillow's `convert`, and so of torchvision's `ImageFolder`. If None, such images are refused.
        orientation: Whether the EXIF orientation is applied. If None, images in files keep the orientation in which
            they are stored, as in torchvision's `ImageFolder`, and those in parquet files are turned, as by Hugging
            Face's `datasets`. Pillow itself turns TIFF images in either case.
    """

    white_level: float | None = None
    orientation: Orientation | None = None


@dataclass(eq=False)
class ReadingRecord:
    """Counts of images by what was done to them. No file is named, so the record can be shared.

    Attributes:
        decoding: The choices.
        depths: Number of images of each bit depth, in bits a channel.
        changes: Number of images that a change was made to, or that something was left out of.
        skipped: Number of files that were not read, by reason.
    """

    decoding: Decoding = field(default_factory=Decoding)
    depths: Counter[int] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> str:
        """Return the record as JSON, for a proof's metadata."""
        return json.dumps(
            {
                "images": sum(self.depths.values()),
                "bit_depth": {str(depth): count for depth, count in sorted(self.depths.items())},
                "white_level": self.decoding.white_level,
                "orientation": self.decoding.orientation or "ignore",
                "changes": dict(sorted(self.changes.items())),
                "skipped": dict(sorted(self.skipped.items())),
            }
        )

    def __add__(self, other: "ReadingRecord") -> "ReadingRecord":
        """Return the record of two readings that share their choices."""
        return ReadingRecord(
            self.decoding,
            self.depths + other.depths,
            self.changes + other.changes,
            self.skipped + other.skipped,
        )


_MESSAGES = {
    "transparency dropped": "have transparent pixels. The transparency is dropped, as by Pillow's convert and "
    "torchvision's ImageFolder",
    "first frame of several": "have several frames or pages. Only the first is read, as by Pillow",
    "upper 8 bits of 16": "are in color with 16 bits a channel. The upper 8 bits are read, as by Pillow and "
    "torchvision's ImageFolder",
    "clipped at the white level": "have values below 0 or above the white_level, which are clipped",
    "orientation ignored": "have an EXIF orientation. It is not applied, as in torchvision's ImageFolder. If the "
    "federation turned its images, set exif_orientation to apply",
}
"""The message for each change that loses something."""


def report_changes(found: Iterable[tuple[str, str]], total: int) -> None:
    """Warn once for each kind of change that loses something.

    Args:
        found: Pairs of a change and the name of an image that it was made to.
        total: Number of images.
    """
    counts, first = Counter[str](), dict[str, str]()
    for change, place in found:
        counts[change] += 1
        first.setdefault(change, place)
    for change, message in _MESSAGES.items():
        if counts[change]:
            warn(f"{counts[change]:,} of {total:,} images, such as {first[change]}, {message}.")
