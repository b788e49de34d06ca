"""Tables whose lines are the samples themselves: CSV or parquet with numbers, or with sequences of tokens."""

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import torch
from torch import Tensor

from palimpsest.datasets.parquet import IMAGE_COLUMNS, opened_parquet
from palimpsest.datasets.rows import RowSet, TokenSet
from palimpsest.errors import DatasetError
from palimpsest.system.memory import require_memory

LABEL, TOKENS = "label", "tokens"
# pyarrow makes these functions when it is imported, so that its stubs know few of them.
pc: Any = pyarrow.compute
arrow_csv: Any = pyarrow.csv
_NAMES_IMAGES = ("file_name", *IMAGE_COLUMNS)
_LONGEST = 200
_MOST_CLASSES, _MOST_COLUMNS, _LONGEST_HEADER = 2**16, 2**14, 2**20
# A value as it is read, as float64, as float32, and among its row's; in a text it takes two bytes at least.
_BYTES = 24


def read_table(path: Path) -> RowSet | TokenSet | None:
    """Read a table of samples that are no images.

    Args:
        path: A `.csv` with a line of names, or a `.parquet` file, with the column `label`, a number from 0. Its other
            columns are numbers, the features in their order; or one of them is `tokens`: lists of numbers, in CSV with
            spaces between them.

    Returns:
        All lines in their order; none where the table names or holds images.

    Raises:
        DatasetError: It can't be read, or a column is missing or holds something else; the message names it.
        ResourceError: It would not fit into memory.
    """
    table = _read_csv(path) if path.suffix == ".csv" else _read_parquet(path)
    if table is None:
        return None
    names = table.column_names
    if LABEL not in names:
        raise DatasetError(
            f"{path} has the columns {', '.join(names)[:_LONGEST]}: it needs the column {LABEL!r}, a number from 0."
        )
    labels = _labels(table[LABEL], path)
    classes = int(labels.max()) + 1
    if TOKENS in names:
        return TokenSet(path.name, _tokens(table[TOKENS], path), labels, classes)
    features = [name for name in names if name != LABEL]
    columns = [_numbers(table[name], name, path) for name in features]
    if not columns:
        raise DatasetError(f"{path} has no column but {LABEL!r}: give a column for each feature.")
    return RowSet(path.name, torch.stack(columns, dim=1), labels, classes, tuple(features))


def _read_csv(path: Path) -> pa.Table | None:
    try:
        _refuse_wide(path)
        # The names alone at first: a table of images is read by others.
        with arrow_csv.open_csv(path) as stream:
            names = stream.schema.names
        if not _holds_samples(names, path):
            return None
        _require_room(path, path.stat().st_size // 2)
        table = arrow_csv.read_csv(path)
    # ValueError: names that are not UTF-8.
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise DatasetError(
            f"{path} can't be read as a table ({' '.join(str(error).split())[:_LONGEST]}): save it as CSV in UTF-8 or "
            "as parquet."
        ) from error
    return _some_rows(table, path)


def _read_parquet(path: Path) -> pa.Table | None:
    with opened_parquet(path) as file:
        names = file.schema_arrow.names
        if not _holds_samples(names, path):
            return None
        # Equal values are packed to next to nothing, so that the file's size says little.
        _require_room(path, file.metadata.num_rows * file.metadata.num_columns)
        return _some_rows(file.read(), path)


def _refuse_wide(path: Path) -> None:
    """pyarrow takes kilobytes for each column, of which a comma makes one."""
    with path.open("rb") as file:
        beginning = file.read(_LONGEST_HEADER).decode("utf-8", errors="replace")
    _refuse_columns(len(next(csv.reader(io.StringIO(beginning, newline="")), ())), path)


def _refuse_columns(count: int, path: Path) -> None:
    if count > _MOST_COLUMNS:
        raise DatasetError(
            f"{path} has {count:,} columns, and at most {_MOST_COLUMNS:,} are read: leave some out."
        )


def _holds_samples(names: list[str], path: Path) -> bool:
    """Whether these are the columns of samples that are no images."""
    name, times = Counter(names).most_common(1)[0] if names else ("", 0)
    if times > 1:
        raise DatasetError(f"{path} has two columns {name[:_LONGEST]!r}: give each a name of its own.")
    _refuse_columns(len(names), path)
    return not any(name in names for name in _NAMES_IMAGES)


def _require_room(path: Path, values: int) -> None:
    require_memory(
        f"The values of {path}", _BYTES * values, remedy="give fewer rows or columns, or free memory"
    )


def _some_rows(table: pa.Table, path: Path) -> pa.Table:
    if not table.num_rows:
        raise DatasetError(f"{path} has no rows: give one for each sample.")
    return table


def _numbers(column: pa.ChunkedArray, name: str, path: Path) -> Tensor:
    try:
        # Booleans count as 0 and 1; what is missing becomes NaN, which the set refuses by its row.
        values = pc.cast(
            pc.cast(column, pa.int8()) if pa.types.is_boolean(column.type) else column, pa.float64()
        )
    except pa.ArrowException as error:
        raise DatasetError(
            f"The column {name[:_LONGEST]!r} of {path} holds {str(column.type)[:_LONGEST]}, not numbers: encode it as "
            "your network takes it."
        ) from error
    # What is larger than a float32 becomes infinite, which the set refuses by its row.
    with np.errstate(over="ignore"):
        return torch.from_numpy(values.to_numpy(zero_copy_only=False).astype("float32"))


def _labels(column: pa.ChunkedArray, path: Path) -> Tensor:
    if not (pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)) or column.null_count:
        raise DatasetError(
            f"The column {LABEL!r} of {path} holds {str(column.type)[:_LONGEST]} or gaps: number the classes from 0."
        )
    lowest, highest = (end.as_py() for end in pc.min_max(column).values())
    if not 0 <= int(lowest) <= int(highest) < _MOST_CLASSES:
        raise DatasetError(
            f"{path} has labels from {int(lowest)} to {int(highest)}: number the classes from 0."
        )
    return torch.from_numpy(pc.cast(column, pa.int64()).to_numpy().copy())


def _tokens(column: pa.ChunkedArray, path: Path) -> Tensor:
    try:
        if pa.types.is_string(column.type):
            column = pc.split_pattern(pc.utf8_trim_whitespace(column), " ")
        lists = pc.cast(column, pa.list_(pa.int64()))
        lengths = pc.unique(pc.list_value_length(lists)).to_pylist()
        values = pc.list_flatten(lists)
    except pa.ArrowException as error:
        raise DatasetError(
            f"The column {TOKENS!r} of {path} holds {str(column.type)[:_LONGEST]}, not lists of whole numbers: write "
            "the numbers that your tokenizer gives."
        ) from error
    if len(lengths) != 1 or not lengths[0] or values.null_count:
        raise DatasetError(
            f"The sequences of {path} have {len(lengths)} lengths or gaps: pad them to one length, as your network "
            "takes them."
        )
    return torch.from_numpy(values.to_numpy(zero_copy_only=False).copy()).view(-1, lengths[0])
