"""Parquet shards of one image set, with the splits that Hugging Face's `datasets` finds in their names."""

import re
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath

import torch
from torch import Tensor

from palimpsest.datasets.decode import Size
from palimpsest.datasets.images import ImageSet
from palimpsest.datasets.parquet import count_rows, read_class_names, read_images, read_labels
from palimpsest.datasets.reading import Decoding, ReadingRecord
from palimpsest.datasets.source import Source
from palimpsest.datasets.split import split_rows
from palimpsest.errors import DatasetError
from palimpsest.progress import warn

_SHARD = re.compile(r"(?P<split>.+)-(?P<place>\d{5})-of-(?P<count>\d{5})(?:-[0-9a-f]+)?")
# The keywords of `datasets.data_files.SPLIT_KEYWORDS`.
_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}


def split_name(path: PurePath) -> str:
    """Return the split of a file: `validation` for `val.parquet`, `val-00000-of-00002.parquet` and `val/0000.parquet`.

    Args:
        path: Path of the file in the set. A file whose name and folders name no split is one of training images.
    """
    shard = _SHARD.fullmatch(path.stem)
    stem = shard["split"] if shard else path.stem
    for part in (stem, *(folder.name for folder in path.parents)):
        words = re.split(r"[^a-z]+", part.lower())
        for split, keywords in _KEYWORDS.items():
            if set(words) & set(keywords):
                return split
    if shard:
        return stem
    return path.parent.name or "train" if path.stem.isdigit() else path.stem


def group_shards(names: Iterable[str], title: str) -> dict[str, list[str]]:
    """Group the files of a set by split, each in order.

    Args:
        names: Paths of the files in the set.
        title: Name of the set in the error message.

    Raises:
        DatasetError: A shard is missing.
    """
    shards: dict[str, list[str]] = {}
    for name in sorted(names):
        shards.setdefault(split_name(PurePath(name)), []).append(name)
    for split, files in shards.items():
        found = [match for name in files if (match := _SHARD.fullmatch(PurePath(name).stem))]
        places, promised = {int(match["place"]) for match in found}, {int(match["count"]) for match in found}
        missing = sorted(set(range(max(promised, default=0))) - places)
        if missing:
            raise DatasetError(
                f"{title} has {len(places):,} of the {max(promised):,} shards of its {split} split: number "
                f"{missing[0]} is missing. Copy all shards."
            )
    return shards


def find_shards(folder: Path, pattern: str = "**/*.parquet") -> dict[str, tuple[Path, ...]]:
    """Find the parquet files of a folder by split.

    Args:
        folder: The folder.
        pattern: A pattern of file names, relative to the folder.

    Returns:
        Files by split; empty if there are none.

    Raises:
        DatasetError: A shard is missing, or a file is a link that leads out of the folder.
    """
    files = [path for path in folder.glob(pattern) if path.is_file() and not path.name.startswith(".")]
    for path in files:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise DatasetError(
                f"{path} is a link that leads out of {folder}. Replace it with a copy of the file."
            )
    grouped = group_shards((path.relative_to(folder).as_posix() for path in files), str(folder))
    return {split: tuple(folder / name for name in names) for split, names in grouped.items()}


class Shards(Source):
    """Base class of image sets in parquet files, of which each split may have several."""

    names: tuple[str, ...]
    decoding: Decoding

    @property
    @abstractmethod
    def stored_splits(self) -> tuple[str, ...]:
        """Names of the splits that have files."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Name of the set in messages."""

    @abstractmethod
    def files(self, split: str) -> Sequence[Path]:
        """Return the files of a split, in order.

        Args:
            split: One of `stored_splits`.
        """

    def count(self, split: str) -> int:
        """Return the number of images in a split."""
        return sum(map(count_rows, self.files(split)))

    def read(self, split: str, *, rows: Tensor | None = None, size: Size | None = None) -> ImageSet:
        """Read a split; see `Source.read`."""
        images, labels, start = [], [], 0
        record = ReadingRecord(self.decoding)
        for file in self.files(split):
            file_labels = read_labels(file, names=self.names)
            chosen = torch.arange(len(file_labels))
            if rows is not None:
                chosen = rows[(rows >= start) & (rows < start + len(file_labels))] - start
            if len(chosen):
                images.append(read_images(file, rows=chosen, size=size, record=record))
                labels.append(file_labels[chosen])
            start += len(file_labels)
        if len({part.shape[1:] for part in images}) > 1:
            raise DatasetError(
                f"The files of {self.title} hold images of several sizes. Scale them to one with image_size."
            )
        return ImageSet(self.title, torch.cat(images), torch.cat(labels), self._classes, record)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes from the metadata of the first file; empty if it has none."""
        return read_class_names(self.files(self.stored_splits[0])[0])

    @cached_property
    def _classes(self) -> int:
        files = [file for split in self.stored_splits for file in self.files(split)]
        return 1 + max(int(read_labels(file, names=self.names).max()) for file in files)


@dataclass(frozen=True)
class ParquetShards(Shards):
    """The parquet files of a folder. If they are of one split, it is split four to one, as a single file is.

    Attributes:
        path: The folder.
        shards: Files by split, as `find_shards` returns them.
        names: Names of the classes, in order. They number a column of names; if empty, labels must be numbers.
        decoding: How the images are read.
        skipped: Number of other files in the folder.
    """

    path: Path
    shards: dict[str, tuple[Path, ...]]
    names: tuple[str, ...] = ()
    decoding: Decoding = field(default_factory=Decoding)
    skipped: int = 0

    @property
    def title(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def stored_splits(self) -> tuple[str, ...]:
        """Names of the splits that the files name, `train` first."""
        return tuple(sorted(self.shards, key=lambda split: (split != "train", split)))

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return self.stored_splits if len(self.shards) > 1 else ("train", "test")

    @cached_property
    def _rows(self) -> dict[str, Tensor]:
        """The rows of each split, if the files are of one split."""
        labels = torch.cat(
            [read_labels(file, names=self.names) for file in self.files(self.stored_splits[0])]
        )
        return dict(zip(self.splits, split_rows(labels), strict=True))

    def files(self, split: str) -> Sequence[Path]:
        """Return the files of a split."""
        return self.shards[split]

    def count(self, split: str) -> int:
        """Return the number of images in a split."""
        return super().count(split) if len(self.shards) > 1 else len(self._rows[split])

    def read(self, split: str, *, rows: Tensor | None = None, size: Size | None = None) -> ImageSet:
        """Read a split; see `Source.read`."""
        if len(self.shards) > 1:
            images = super().read(split, rows=rows, size=size)
            return self._noting(images) if split == self.splits[0] else images
        chosen = self._rows[split] if rows is None else self._rows[split][rows]
        return self._noting(super().read(self.stored_splits[0], rows=chosen, size=size))

    def read_all(self, *, size: Size | None = None) -> ImageSet:
        """Read all images in the order of the files; see `Source.read_all`."""
        if len(self.shards) > 1:
            return super().read_all(size=size)
        return self._noting(super().read(self.stored_splits[0], size=size))

    def _noting(self, images: ImageSet) -> ImageSet:
        """Note the files that are not read, in the images' record and in a warning."""
        if self.skipped and images.reading is not None:
            images.reading.skipped["not a parquet file"] = self.skipped
            warn(f"{self.path}: {self.skipped:,} files were skipped that are not parquet files.")
        return images
