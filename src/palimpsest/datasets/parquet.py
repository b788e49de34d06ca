"""Images in parquet files, as the Hugging Face hub stores them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from palimpsest.datasets.decode import Encoded, Size, decode_images
from palimpsest.datasets.images import ImageSet, check_labels
from palimpsest.datasets.source import Source
from palimpsest.datasets.split import split_rows
from palimpsest.errors import DatasetError

IMAGE_COLUMNS = ("image", "img")
LABEL_COLUMNS = ("label", "fine_label", "labels")
_BATCH, _LONGEST = 1024, 1000
_MOST_CLASSES = 2**16
_LONGEST_NAME = 100
# Encoded images hardly shrink any more, and every row takes some bytes; a small file may repeat itself.
_MOST_UNPACKED, _SMALL_UNPACKED, _SMALL_ROWS = 64, 2**20, 2**16


@dataclass(frozen=True)
class ParquetFile(Source):
    """One file of somebody's own, divided four to one into training and test images.

    Attributes:
        path: The file; an `image` or `img` column of encoded images, and a column of labels.
    """

    path: Path

    @cached_property
    def _labels(self) -> Tensor:
        return read_labels(self.path)

    @cached_property
    def _rows(self) -> dict[str, Tensor]:
        return dict(zip(self.splits, split_rows(self._labels), strict=True))

    def count(self, split: str) -> int:
        """How many images a split has."""
        return len(self._rows[split])

    def read(self, split: str, *, rows: Tensor | None = None, size: Size | None = None) -> ImageSet:
        """Read a split; arguments as for `Source.read`."""
        return self._read(self._rows[split] if rows is None else self._rows[split][rows], size)

    def read_all(self, *, size: Size | None = None) -> ImageSet:
        """See `Source.read_all`: the order of the rows."""
        return self._read(torch.arange(len(self._labels)), size)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes' names, where the file tells them."""
        return read_class_names(self.path)

    def _read(self, rows: Tensor, size: Size | None) -> ImageSet:
        classes = int(self._labels.max()) + 1
        images = read_images(self.path, rows=rows, size=size)
        return ImageSet(self.path.stem, images, self._labels[rows], classes)


def count_rows(path: Path) -> int:
    """How many rows a file has, from its footer.

    Raises:
        DatasetError: The file is missing or not whole.
    """
    with opened_parquet(path) as file:
        return file.metadata.num_rows


def read_labels(path: Path, *, classes: int | None = None, required: bool = True) -> Tensor:
    """Read the labels, without the images.

    Args:
        path: The file; the labels are in its column `label`, `fine_label` or `labels`.
        classes: Labels are below this number; none only asks that they are not negative.
        required: False gives zeros where there is no such column: public images need no labels.

    Returns:
        `[n]`, int64.

    Raises:
        DatasetError: The file is not whole or empty, the column is missing or not of integers, or a label is
            missing or out of range.
    """
    with opened_parquet(path) as file:
        if not file.metadata.num_rows:
            raise DatasetError(f"{path} holds no images: give a file that has some.")
        name = _column(file.schema_arrow, LABEL_COLUMNS)
        if name is None and not required:
            return torch.zeros(file.metadata.num_rows, dtype=torch.int64)
        if name is None or not pa.types.is_integer(file.schema_arrow.field(name).type):
            raise DatasetError(
                f"{path} has the columns {_spell(file.schema_arrow)}: "
                f"it needs one of integers named {', '.join(LABEL_COLUMNS[:-1])} or {LABEL_COLUMNS[-1]}."
            )
        column = file.read([name]).column(0).cast(pa.int64())
        if len(column) != file.metadata.num_rows:
            raise DatasetError(
                f"{path} has {file.metadata.num_rows:,} rows and {len(column):,} labels: make it again."
            )
    if column.null_count:
        row = column.is_null().to_numpy().argmax()
        raise DatasetError(f"Row {row} of {path} has no label: give it one or leave the row out.")
    labels = torch.from_numpy(column.to_numpy().copy())
    if classes is None:
        classes = min(max(1, int(labels.max()) + 1), _MOST_CLASSES)
    check_labels(labels, classes, str(path))
    return labels


def read_class_names(path: Path) -> tuple[str, ...]:
    """The classes' names, which the Hugging Face hub's files keep beside their columns.

    Args:
        path: The file.

    Returns:
        Names in the order of the labels; empty where the file tells none, or not as the hub does.

    Raises:
        DatasetError: The file is missing or not whole.
    """
    with opened_parquet(path) as file:
        column = _column(file.schema_arrow, LABEL_COLUMNS)
        told = (file.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
    try:
        names = json.loads(told)["info"]["features"][column]["names"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    fit = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(name[:_LONGEST_NAME] for name in names[:_MOST_CLASSES]) if fit else ()


def read_images(path: Path, *, rows: Tensor | None = None, size: Size | None = None) -> Tensor:
    """Decode the images of a file, or of some of its rows.

    Args:
        path: The file; its column `image` or `img` holds encoded images, as binary or `struct<bytes, path>`.
        rows: Which rows, int64, ascending; none takes all.
        size: As for `decode_images`.

    Returns:
        `[n, channels, height, width]`, float32 in [0, 1].

    Raises:
        DatasetError: The file is not whole, the column is missing or of another type, or a row is no image.
    """
    with opened_parquet(path) as file:
        name = _column(file.schema_arrow, IMAGE_COLUMNS)
        if name is None or not _holds_bytes(file.schema_arrow.field(name).type):
            raise DatasetError(
                f"{path} has the columns {_spell(file.schema_arrow)}: "
                f"it needs one named {' or '.join(IMAGE_COLUMNS)} with the bytes of encoded images."
            )
        return decode_images(_encoded(file, name, path, None if rows is None else rows.numpy()), size)


def _encoded(file: pq.ParquetFile, name: str, path: Path, rows: np.ndarray | None) -> Iterator[Encoded]:
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
                    f"Row {row} of {path} has no image bytes: embed the image or leave the row out."
                )
            yield f"Row {row} of {path}", content
        start += len(batch)


@contextmanager
def opened_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """A parquet file whose counts its own size can bear.

    Args:
        path: The file.

    Raises:
        DatasetError: It is missing, damaged or a bomb, when it is opened or while it is read.
    """
    try:
        with pq.ParquetFile(path) as file:
            _check_sizes(file, path)
            yield file
    except FileNotFoundError as error:
        raise DatasetError(f"There is no file {path}: check the path.") from error
    # ValueError: names that are not UTF-8.
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DatasetError(
            f"{path} can't be read as a parquet file ({reason}): fetch or make it again."
        ) from error


def _check_sizes(file: pq.ParquetFile, path: Path) -> None:
    """Believe no count that the file's own size can't bear: memory is taken by them."""
    footer, size = file.metadata, path.stat().st_size
    groups = [footer.row_group(index) for index in range(footer.num_row_groups)]
    # Not the single columns' sizes: pyarrow aborts the process where a column's statistics are damaged.
    unpacked = sum(group.total_byte_size for group in groups)
    rows = [footer.num_rows, *(group.num_rows for group in groups)]
    if (
        min(rows) < 0
        or max(rows) > max(_SMALL_ROWS, size // 2)
        or unpacked > max(_SMALL_UNPACKED, _MOST_UNPACKED * size)
    ):
        raise DatasetError(
            f"{path} says that its {size:,} bytes hold {max(rows):,} rows and unpack to {unpacked:,} bytes: it is "
            "damaged or a bomb; make it again with encoded images."
        )
    if rows[0] != sum(rows[1:]):
        raise DatasetError(
            f"{path} says that it has {rows[0]:,} rows, and its parts have {sum(rows[1:]):,}: make it again."
        )


def _column(schema: pa.Schema, accepted: tuple[str, ...]) -> str | None:
    # pyarrow finds no column by a name that two have.
    return next((name for name in accepted if schema.names.count(name) == 1), None)


def _holds_bytes(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.StructType):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _spell(schema: pa.Schema) -> str:
    told = ", ".join(f"{field.name} ({field.type})" for field in schema)
    return told if len(told) <= _LONGEST else f"{told[:_LONGEST]}..."
