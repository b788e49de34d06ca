"""Images listed in a CSV file, in the format of Hugging Face's image folders."""

import csv
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from palimpsest.datasets.csv_lines import is_number
from palimpsest.datasets.decode import Size, decode_images
from palimpsest.datasets.images import ImageSet
from palimpsest.datasets.labels import check_class_numbers, look_up_classes, refuse_real_numbers
from palimpsest.datasets.reading import Decoding, ReadingRecord
from palimpsest.datasets.source import Source
from palimpsest.datasets.split import split_rows
from palimpsest.errors import DatasetError

COLUMNS = ("file_name", "label")
_LONGEST = 200


@dataclass(frozen=True)
class ImageList(Source):
    """Images listed in a CSV file, split four to one into training and test images.

    Attributes:
        path: The file, in UTF-8. Its column `file_name` holds paths relative to the file, its column `label` class
            numbers from 0 or class names.
        names: Names of the classes, in order. They number a column of names; if empty, labels must be numbers.
        decoding: How the images are read.
    """

    path: Path
    names: tuple[str, ...] = ()
    decoding: Decoding = field(default_factory=Decoding)

    @cached_property
    def _files(self) -> tuple[list[Path], Tensor]:
        labels: list[str] = []
        names: list[str] = []
        # A file that many lines name is looked up once.
        known: dict[str, Path] = {}
        root = self.path.parent.resolve()
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as table:
                lines = csv.DictReader(table)
                if not set(COLUMNS) <= set(lines.fieldnames or ()):
                    names_found = ", ".join(lines.fieldnames or ())[:_LONGEST] or "(none)"
                    raise DatasetError(
                        f"{self.path} has the columns {names_found}. It needs {' and '.join(COLUMNS)}, named in its "
                        "first line."
                    )
                for line in lines:
                    name = line["file_name"] or ""
                    if name not in known:
                        known[name] = self._file(root, name, lines.line_num)
                    names.append(name)
                    labels.append(_label(line["label"], lines.line_num, self.path))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DatasetError(
                f"{self.path} can't be read as a table ({str(error)[:_LONGEST]}). Save it as CSV in UTF-8."
            ) from error
        if not names:
            raise DatasetError(f"{self.path} names no images. Add a line for each image.")
        return [known[name] for name in names], self._numbers(labels)

    @cached_property
    def _rows(self) -> dict[str, Tensor]:
        return dict(zip(self.splits, split_rows(self._files[1]), strict=True))

    def count(self, split: str) -> int:
        """Return the number of images in a split."""
        return len(self._rows[split])

    def read(self, split: str, *, rows: Tensor | None = None, size: Size | None = None) -> ImageSet:
        """Read a split; see `Source.read`."""
        return self._read(self._rows[split] if rows is None else self._rows[split][rows], size)

    def read_all(self, *, size: Size | None = None) -> ImageSet:
        """Read all images in the order of the lines; see `Source.read_all`."""
        return self._read(torch.arange(len(self._files[0])), size)

    def _read(self, rows: Tensor, size: Size | None) -> ImageSet:
        files, labels = self._files
        classes = int(labels.max()) + 1
        record = ReadingRecord(self.decoding)
        named = ((str(files[row]), files[row]) for row in rows.tolist())
        images = decode_images(named, size, decoding=self.decoding, record=record)
        name = self.path.parent.name if self.path.name == "metadata.csv" else self.path.stem
        return ImageSet(name, images, labels[rows], classes, record)

    def _file(self, root: Path, name: str, line: int) -> Path:
        file = root / name
        if not name or not file.is_file() or not file.resolve().is_relative_to(root):
            raise DatasetError(
                f"Line {line} of {self.path} names {name[:_LONGEST]!r}, but its folder has no such file. "
                "Correct or remove the line."
            )
        return file

    def _numbers(self, labels: list[str]) -> Tensor:
        """Return class numbers; a column is read as numbers if all of its labels are."""
        place = f"The column 'label' of {self.path}"
        if all(label.isascii() and label.removeprefix("-").isdecimal() for label in labels):
            numbers = list(map(int, labels))
            check_class_numbers(numbers, place)
            return torch.tensor(numbers, dtype=torch.int64)
        if all(map(is_number, labels)):
            raise refuse_real_numbers(place, "double")
        return look_up_classes(labels, self.names, place)


def _label(text: str | None, line: int, path: Path) -> str:
    label = (text or "").strip()
    if not label or len(label) > _LONGEST:
        raise DatasetError(
            f"Line {line} of {path} has the label {text and text[:_LONGEST]!r}. Give a class number from 0, or a class "
            f"name of at most {_LONGEST} characters."
        )
    return label
