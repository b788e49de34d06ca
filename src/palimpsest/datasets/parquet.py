"""Images in parquet files, as the Hugging Face hub stores them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from palimpsest.datasets.arrow import pa, pq
from palimpsest.datasets.decode import Encoded, Size, decode_images
from palimpsest.datasets.images import ImageSet, check_labels
from palimpsest.datasets.labels import MOST_CLASSES, number_labels
from palimpsest.datasets.reading import Decoding, ReadingRecord
from palimpsest.datasets.source import Source
from palimpsest.datasets.split import split_rows
from palimpsest.errors import DatasetError

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label", "labels")
_BATCH, _LONGEST = 1024, 1000
_LONGEST_NAME = 100
# Encoded images hardly compress, and every row takes a few bytes. Small files may repeat a value many times.
_MOST_UNPACKED, _SMALL_UNPACKED, _SMALL_ROWS = 64, 2**20, 2**16


@dataclass(frozen=True)
class ParquetFile(Source):
    """A user's parquet file, split four to one into training and test images.

    Attributes:
        path: The file, with a column `image` or `img` of encoded images, and a column of labels.
        names: Names of the classes, in order. They number a column of names; if empty, labels must be numbers.
        decoding: How the images are read.
    """

    path: Path
    names: tuple[str, ...] = ()
    decoding: Decoding = field(default_factory=Decoding)

    @cached_property
    def _labels(self) -> Tensor:
        return read_labels(self.path, names=self.names)

    @cached_property
    def _rows(self) -> dict[str, Tensor]:
        return dict(zip(self.splits, split_rows(self._labels), strict=True))

    def count(self, split: str) -> int:
        """Return the number of images in a split."""
        return len(self._rows[split])

    def read(self, split: str, *, rows: Tensor | None = None, size: Size | None = None) -> ImageSet:
        """Read a split; see `Source.read`."""
        return self._read(self._rows[split] if rows is None else self._rows[split][rows], size)

    def read_all(self, *, size: Size | None = None) -> ImageSet:
        """Read all images in the order of the rows; see `Source.read_all`."""
        return self._read(torch.arange(len(self._labels)), size)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes from the file's metadata; empty if it has none."""
        return read_class_names(self.path)

    def _read(self, rows: Tensor, size: Size | None) -> ImageSet:
        classes = int(self._labels.max()) + 1
        record = ReadingRecord(self.decoding)
        images = read_images(self.path, rows=rows, size=size, record=record)
        return ImageSet(self.path.stem, images, self._labels[rows], classes, record)


def count_rows(path: Path) -> int:
    """Return the number of rows from a file's footer.

    Raises:
        DatasetError: The file is missing or damaged.
    """
    with open_parquet(path) as file:
        return file.metadata.num_rows


def read_labels(
    path: Path, *, classes: int | None = None, required: bool = True, names: Sequence[str] = ()
) -> Tensor:
    """Read the labels, without the images.

    Args:
        path: The file, with the labels in the column `label`, `fine_label` or `labels`.
        classes: Number of classes. If omitted, labels may be any number from 0 to 65,535.
        required: Whether the column must exist. If False and there is none, as for public images, labels are zeros.
        names: As for `number_labels`.

    Returns:
        `[n]`, int64.

    Raises:
        DatasetError: The file is damaged or empty, the column is missing, or its labels can't be used; see
            `number_labels`.
    """
    with open_parquet(path) as file:
        if not file.metadata.num_rows:
            raise DatasetError(f"{path} holds no images. Pass a file with images.")
        name = _column(file.schema_arrow, LABEL_COLUMNS)
        if name is None and not required:
            return torch.zeros(file.metadata.num_rows, dtype=torch.int64)
        if name is None:
            raise DatasetError(
                f"{path} has the columns {_describe_columns(file.schema_arrow)}. It needs a column of integers named "
                f"{', '.join(LABEL_COLUMNS[:-1])} or {LABEL_COLUMNS[-1]}."
            )
        column = file.read([name]).column(0)
        if len(column) != file.metadata.num_rows:
            raise DatasetError(
                f"{path} has {file.metadata.num_rows:,} rows but {len(column):,} labels. Write the file again."
            )
    labels = number_labels(column, names, f"The column {name!r} of {path}")
    if classes is not None:
        check_labels(labels, classes, str(path))
    return labels


def read_class_names(path: Path) -> tuple[str, ...]:
    """Read the class names from the metadata that the Hugging Face hub adds to its files.

    Args:
        path: The file.

    Returns:
        Names in the order of the labels; empty if the file has no distinct names in the hub's format.

    Raises:
        DatasetError: The file is missing or damaged.
    """
    with open_parquet(path) as file:
        column = _column(file.schema_arrow, LABEL_COLUMNS)
        metadata = (file.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
    try:
        names = json.loads(metadata)["info"]["features"][column]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return ()
    shortened = tuple(name[:_LONGEST_NAME] for name in names[:MOST_CLASSES])
    return shortened if len(set(shortened)) == len(shortened) else ()


def read_images(
    path: Path,
    *,
    rows: Tensor | None = None,
    size: Size | None = None,
    record: ReadingRecord | None = None,
) -> Tensor:
    """Decode the images of a file, or of a selection of its rows.

    Args:
        path: The file. Its column `image` or `img` holds encoded images, as binary or `struct<bytes, path>`.
        rows: The rows to read, int64, ascending. If omitted, all rows are read.
        size: Height and width to scale every image to. If omitted, images keep their size.
        record: How the images are read, and what is counted. Unless it says otherwise, the EXIF orientation is applied,
            as in Hugging Face's `datasets`.

    Returns:
        `[n, channels, height, width]`, float32 in [0, 1].

    Raises:
        DatasetError: The file is damaged, the column is missing or has another type, or a row is not an image.
    """
    with open_parquet(path) as file:
        name = _column(file.schema_arrow, IMAGE_COLUMNS)
        if name is None or not _holds_bytes(file.schema_arrow.field(name).type):
            raise DatasetError(
                f"{path} has the columns {_describe_columns(file.schema_arrow)}. It needs one named "
                f"{' or '.join(IMAGE_COLUMNS)} with the bytes of encoded images."
            )
        record = record or ReadingRecord()
        record.decoding = replace(record.decoding, orientation=record.decoding.orientation or "apply")
        encoded = _encoded(file, name, path, None if rows is None else rows.numpy())
        return decode_images(encoded, size, decoding=record.decoding, record=record)


def _encoded(file: "pq.ParquetFile", name: str, path: Path, rows: np.ndarray | None) -> Iterator[Encoded]:
    start = 0
    for batch in file.iter_batches(_BATCH, columns=[name]):
        column = batch.column(0)
        wanted = np.arange(len(column))
        if rows is not None:
            wanted = rows[np.searchsorted(rows, start) : np.searchsorted(rows, start + len(column))] - start
            column = column.take(pa.array(wanted))
        files = column.field("bytes") if isinstance(column, pa.StructArray) else column
        for row, content in zip(start + wanted, files.to_pylist(), strict=True):
            if content is None:
                raise DatasetError(
                    f"Row {row} of {path} has no image bytes. Embed the image or remove the row."
                )
            yield f"Row {row} of {path}", content
        start += len(batch)


@contextmanager
def open_parquet(path: Path) -> Iterator["pq.ParquetFile"]:
    """Open a parquet file after checking that the sizes in its footer are plausible.

    Args:
        path: The file.

    Yields:
        The open file.

    Raises:
        DatasetError: The file is missing, damaged or a decompression bomb, when it is opened or while it is read.
    """
    try:
        with pq.ParquetFile(path) as file:
            _check_sizes(file, path)
            yield file
    except FileNotFoundError as error:
        raise DatasetError(f"There is no file {path}. Check the path.") from error
    # pyarrow raises a ValueError for names that are not UTF-8.
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DatasetError(
            f"{path} can't be read as a parquet file ({reason}). Download or write it again."
        ) from error


def _check_sizes(file: "pq.ParquetFile", path: Path) -> None:
    """Reject sizes in the footer that are implausible for the size of the file, as memory is allocated by them."""
    footer, size = file.metadata, path.stat().st_size
    groups = [footer.row_group(index) for index in range(footer.num_row_groups)]
    # The sizes of single columns are not read: pyarrow aborts the process if a column's statistics are damaged.
    unpacked = sum(group.total_byte_size for group in groups)
    rows = [footer.num_rows, *(group.num_rows for group in groups)]
    if (
        min(rows) < 0
        or max(rows) > max(_SMALL_ROWS, size // 2)
        or unpacked > max(_SMALL_UNPACKED, _MOST_UNPACKED * size)
    ):
        raise DatasetError(
            f"{path} has {size:,} bytes, but its footer declares {max(rows):,} rows and {unpacked:,} bytes of content. "
            "The file is damaged or a decompression bomb. Write it again with encoded images."
        )
    if rows[0] != sum(rows[1:]):
        raise DatasetError(
            f"The footer of {path} declares {rows[0]:,} rows, but its row groups have {sum(rows[1:]):,}. Write the "
            "file again."
        )


def _column(schema: "pa.Schema", accepted: tuple[str, ...]) -> str | None:
    # pyarrow can't select a column by a name that occurs twice.
    return next((name for name in accepted if schema.names.count(name) == 1), None)


def _holds_bytes(kind: "pa.DataType") -> bool:
    if isinstance(kind, pa.StructType):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _describe_columns(schema: "pa.Schema") -> str:
    columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
    return columns if len(columns) <= _LONGEST else f"{columns[:_LONGEST]}..."
