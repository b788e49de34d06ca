"""A folder of class folders, as people keep their own images."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from palimpsest.datasets.decode import Size, decode_images
from palimpsest.datasets.images import ImageSet
from palimpsest.datasets.source import Source
from palimpsest.datasets.split import split_rows
from palimpsest.errors import DatasetError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})


@dataclass(frozen=True)
class ImageFolder(Source):
    """One folder for each class, or `train/` and `test/` with such folders in each.

    Classes are numbered in the order of their folders' names. Without `train/` and `test/` the images are
    divided four to one. Files that are no images and names that begin with a dot are passed over; links that
    lead out of the folder are refused.

    Attributes:
        path: The folder.
        names: The classes' names where they are known, in order; none takes the folders'.
    """

    path: Path
    names: tuple[str, ...] = ()

    @cached_property
    def _divided(self) -> bool:
        return all((self.path / split).is_dir() for split in self.splits)

    @cached_property
    def _classes(self) -> list[str]:
        parents = [self.path / split for split in self.splits] if self._divided else [self.path]
        names = sorted({folder.name for parent in parents for folder in _visible(parent) if folder.is_dir()})
        if not names:
            raise DatasetError(
                f"{self.path} has no class folders: put each class's images in a folder of its own."
            )
        for name in names:
            if not any(_images(parent / name) for parent in parents):
                raise DatasetError(
                    f"{parents[0] / name} holds no images ({', '.join(sorted(SUFFIXES))}): "
                    "add some or remove the folder."
                )
        return self._known(names)

    def _known(self, names: list[str]) -> list[str]:
        strangers = sorted(set(names) - set(self.names))
        if self.names and strangers:
            raise DatasetError(
                f"{self.path} has the class folder {strangers[0]!r}, which is none of {', '.join(self.names[:20])}: "
                "name class folders as those of the auxiliary images."
            )
        return list(self.names) or names

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes' names, in the order of their numbers."""
        return tuple(self._classes)

    @cached_property
    def _files(self) -> dict[str, tuple[list[Path], Tensor]]:
        if self._divided:
            return {split: self._listed(self.path / split) for split in self.splits}
        files, labels = self._listed(self.path)
        return {
            split: ([files[row] for row in rows.tolist()], labels[rows])
            for split, rows in zip(self.splits, split_rows(labels), strict=True)
        }

    def _listed(self, parent: Path) -> tuple[list[Path], Tensor]:
        listed = [
            (self._own(file), label)
            for label, name in enumerate(self._classes)
            for file in _images(parent / name)
        ]
        return [file for file, _ in listed], torch.tensor([label for _, label in listed], dtype=torch.int64)

    def _own(self, file: Path) -> Path:
        """A file of this folder: a link in a folder from elsewhere could name anything on this machine."""
        if not file.is_file():
            raise DatasetError(f"{file} is not a regular file: remove it.")
        if not file.resolve().is_relative_to(self.path.resolve()):
            raise DatasetError(
                f"{file} is a link that leads out of {self.path}: put a copy of the image there."
            )
        return file

    def count(self, split: str) -> int:
        """How many images a split has."""
        return len(self._files[split][0])

    def read(self, split: str, *, rows: Tensor | None = None, size: Size | None = None) -> ImageSet:
        """Read a split; arguments as for `Source.read`."""
        files, labels = self._files[split]
        if not files:
            raise DatasetError(f"{self.path} has no {split} images: add some or remove {self.path / split}.")
        if rows is not None:
            files, labels = [files[row] for row in rows.tolist()], labels[rows]
        images = decode_images(((str(file), file) for file in files), size)
        return ImageSet(self.path.name, images, labels, len(self._classes))

    def read_all(self, *, size: Size | None = None) -> ImageSet:
        """See `Source.read_all`: class by class, each in the order of the files' names, unless `train/` comes first."""
        if self._divided:
            return super().read_all(size=size)
        files, labels = self._listed(self.path)
        images = decode_images(((str(file), file) for file in files), size)
        return ImageSet(self.path.name, images, labels, len(self._classes))


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise DatasetError(f"{folder} can't be read ({error.strerror}): check its permissions.") from error


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [entry for entry in _visible(folder) if entry.suffix.lower() in SUFFIXES]
