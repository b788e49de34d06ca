"""Image folders with one folder for each class."""

import os
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from palimpsest.datasets.decode import Size, decode_images, readable
from palimpsest.datasets.images import ImageSet
from palimpsest.datasets.reading import Decoding, ReadingRecord
from palimpsest.datasets.source import Source
from palimpsest.datasets.split import split_rows
from palimpsest.errors import DatasetError
from palimpsest.progress import warn

SUFFIXES = frozenset(
    {
        ".bmp",
        ".gif",
        ".jfif",
        ".jpe",
        ".jpeg",
        ".jpg",
        ".pgm",
        ".png",
        ".pnm",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    }
)


@dataclass(frozen=True)
class _Files:
    """Images with their labels, and the number of skipped files by reason."""

    paths: list[Path]
    labels: Tensor
    skipped: Counter[str]


@dataclass(frozen=True)
class ImageFolder(Source):
    """A folder with one folder for each class, or with `train/` and `test/` that each hold class folders.

    Classes are numbered in the order of their folders' names. A class folder's own folders belong to the class, in
    the order of torchvision's `ImageFolder`. A class folder without images keeps its number, with a warning. Without
    `train/` and `test/`, the images are split four to one. Hidden files, files without an image suffix and files
    outside of class folders are skipped, with a warning that counts them and names one of each kind. Links that lead
    out of the folder raise an error.

    Attributes:
        path: The folder.
        names: Names of the classes, in order. If empty, the names of the class folders, sorted.
        decoding: How the images are read.
    """

    path: Path
    names: tuple[str, ...] = ()
    decoding: Decoding = field(default_factory=Decoding)

    @cached_property
    def _has_splits(self) -> bool:
        return all((self.path / split).is_dir() for split in self.splits)

    @cached_property
    def _classes(self) -> list[str]:
        parents = [self.path / split for split in self.splits] if self._has_splits else [self.path]
        names = sorted(
            {entry.name for parent in parents for entry in _list_visible(parent) if entry.is_dir()}
        )
        if not names:
            raise DatasetError(
                f"{self.path} has no class folders. Put the images of each class into a folder of their own."
            )
        empty = [name for name in names if not any(_list_images(parent / name) for parent in parents)]
        if len(empty) == len(names):
            raise DatasetError(
                f"The class folders of {self.path} hold no images ({', '.join(sorted(SUFFIXES))}). Add images."
            )
        if empty:
            listed = ", ".join(map(readable, empty[:3])) + (", ..." if len(empty) > 3 else "")
            warn(
                f"{self.path} has {len(empty):,} class folders without images, which keep their numbers: {listed}. "
                "Remove folders that are not classes."
            )
        return self._check_names(names)

    def _check_names(self, names: list[str]) -> list[str]:
        folders = {readable(name): name for name in names}
        unknown = sorted(folders.keys() - set(self.names))
        if self.names and unknown:
            raise DatasetError(
                f"{self.path} has the class folder {unknown[0]!r}, which is not one of {', '.join(self.names[:20])}. "
                "Name the class folders like the classes, or set --class-names to the names of all classes in the "
                "model's order."
            )
        return [folders.get(name, name) for name in self.names] or names

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their numbers; bytes that are not UTF-8 are escaped."""
        return tuple(map(readable, self._classes))

    @cached_property
    def _files(self) -> dict[str, _Files]:
        if self._has_splits:
            return {split: self._list_files(self.path / split) for split in self.splits}
        every = self._all_files
        return {
            split: _Files([every.paths[row] for row in rows.tolist()], every.labels[rows], every.skipped)
            for split, rows in zip(self.splits, split_rows(every.labels), strict=True)
        }

    @cached_property
    def _all_files(self) -> _Files:
        return self._list_files(self.path)

    def _list_files(self, parent: Path) -> _Files:
        labeled, skipped = list[tuple[Path, int]](), list[tuple[str, Path]]()
        # What lies beside the splits is counted with the first one.
        levels = {self.path, parent} if self._has_splits and parent.name == self.splits[0] else {parent}
        for entry in sorted(entry for level in levels for entry in level.iterdir()):
            is_class = entry.is_dir() and (entry.parent == parent or entry.name in self.splits)
            if entry.name.startswith("."):
                skipped.append(("hidden", entry))
            elif not is_class:
                skipped.append(("outside of the class folders", entry))
        for label, name in enumerate(self._classes):
            for file in _walk(parent / name):
                if any(part.startswith(".") for part in file.relative_to(parent).parts):
                    skipped.append(("hidden", file))
                elif file.suffix.lower() not in SUFFIXES:
                    skipped.append(("without an image's suffix", file))
                else:
                    labeled.append((self._check_inside(file), label))
        labels = torch.tensor([label for _, label in labeled], dtype=torch.int64)
        return _Files([file for file, _ in labeled], labels, self._report(skipped))

    def _report(self, skipped: list[tuple[str, Path]]) -> Counter[str]:
        """Warn of files that are not read; return their number by reason."""
        counts = Counter(reason for reason, _ in skipped)
        first = {reason: readable(str(file.relative_to(self.path))) for reason, file in reversed(skipped)}
        if skipped:
            kinds = "; ".join(
                f"{counts[reason]:,} {reason}, such as {name}" for reason, name in sorted(first.items())
            )
            warn(f"{self.path}: {len(skipped):,} files or folders were skipped: {kinds}.")
        return counts

    def _check_inside(self, file: Path) -> Path:
        """Reject links out of this folder: in a downloaded folder they could name any file on this machine."""
        if not file.is_file():
            raise DatasetError(f"{file} is not a regular file. Remove it.")
        if not file.resolve().is_relative_to(self.path.resolve()):
            raise DatasetError(
                f"{file} is a link that leads out of {self.path}. Replace it with a copy of the image."
            )
        return file

    def count(self, split: str) -> int:
        """Return the number of images in a split."""
        return len(self._files[split].paths)

    def read(self, split: str, *, rows: Tensor | None = None, size: Size | None = None) -> ImageSet:
        """Read a split; see `Source.read`."""
        files = self._files[split]
        if not files.paths:
            raise DatasetError(
                f"{self.path} has no {split} images. Add images or remove {self.path / split}."
            )
        if rows is not None:
            files = replace(
                files, paths=[files.paths[row] for row in rows.tolist()], labels=files.labels[rows]
            )
        return self._decode(files, size)

    def read_all(self, *, size: Size | None = None) -> ImageSet:
        """Read all images, ordered by split if there are `train/` and `test/`, then by class and file name."""
        return super().read_all(size=size) if self._has_splits else self._decode(self._all_files, size)

    def _decode(self, files: _Files, size: Size | None) -> ImageSet:
        record = ReadingRecord(self.decoding, skipped=Counter(files.skipped))
        named = ((str(file), file) for file in files.paths)
        images = decode_images(named, size, decoding=self.decoding, record=record)
        return ImageSet(self.path.name, images, files.labels, len(self._classes), record)


def _list_visible(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DatasetError(f"{folder} can't be read ({error.strerror}). Check its permissions.") from error


def _list_images(folder: Path) -> list[Path]:
    return [
        file for file in _walk(folder) if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    ]


def _walk(folder: Path) -> list[Path]:
    """Return all files below a folder in torchvision's order; links to folders are not followed."""
    if not folder.is_dir():
        return []
    if folder.is_symlink():
        raise DatasetError(f"{folder} is a link to a folder. Replace it with the folder itself.")
    folders = sorted(os.walk(folder, onerror=_raise))
    return [Path(parent, name) for parent, _, names in folders for name in sorted(names)]


def _raise(error: OSError) -> None:
    raise DatasetError(
        f"{error.filename} can't be read ({error.strerror}). Check its permissions."
    ) from error
