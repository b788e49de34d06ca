"""Tables of samples other than images: CSV or parquet files with numbers or sequences of tokens."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from palimpsest.datasets.arrow import arrow_csv, pa, pc
from palimpsest.datasets.csv_dialect import Dialect, find_dialect
from palimpsest.datasets.csv_lines import describe_value, find_uneven_line, is_number, line_of_row
from palimpsest.datasets.labels import number_labels
from palimpsest.datasets.parquet import IMAGE_COLUMNS, open_parquet
from palimpsest.datasets.rows import RowSet, TokenSet
from palimpsest.errors import DatasetError
from palimpsest.progress import warn
from palimpsest.system.memory import require_memory

LABEL, TOKENS = "label", "tokens"
_PANDAS_INDEX = "Unnamed: 0"
_NAMES_IMAGES = ("file_name", *IMAGE_COLUMNS)
_LONGEST = 200
_MOST_COLUMNS = 2**14
# Peak memory of a value: as read, as float64, as float32, and in the tensor of all rows.
_BYTES = 24


@dataclass(frozen=True)
class _Table:
    """A table as it was read, and the dialect of its file if that is CSV."""

    path: Path
    columns: "pa.Table"
    dialect: Dialect | None = None

    def locate(self, row: int) -> str:
        """Return the place of a row: the line of a text, as an editor numbers it, or the row of another file."""
        return f"row {row}" if self.dialect is None else f"line {line_of_row(self.path, self.dialect, row)}"

    def place(self, row: int) -> str:
        """Return the place of a row as the beginning of a message."""
        return f"{self.locate(row).capitalize()} of {self.path}"

    def refuse_value(self, name: str) -> DatasetError:
        """Return the error for the first value of a column that is not a number."""
        column = self.columns[name]
        if pa.types.is_binary(column.type):
            return DatasetError(
                f"The column {name[:_LONGEST]!r} of {self.path} is not in UTF-8. Save the table as CSV in UTF-8."
            )
        if not pa.types.is_string(column.type):
            return DatasetError(
                f"The column {name[:_LONGEST]!r} of {self.path} holds {str(column.type)[:_LONGEST]}, not numbers. "
                "Encode it as your network expects it."
            )
        texts = enumerate(column.to_pylist())
        row, text = next((row, text) for row, text in texts if text is not None and not is_number(text))
        return DatasetError(
            f"{self.place(row)} has {text[:_LONGEST]!r} in the column {name[:_LONGEST]!r}, {describe_value(text)}."
        )


def read_table(path: Path, *, names: Sequence[str] = ()) -> RowSet | TokenSet | None:
    """Read a table of samples other than images.

    Args:
        path: A `.csv` file with a header, or a `.parquet` file. The column `label` holds class numbers from 0 or, if
            `names` are given, class names. Either the column `tokens` holds lists of whole numbers, in CSV separated
            by spaces; or all other columns hold numbers, the features in this order.
        names: As for `number_labels`.

    Returns:
        All rows in their order; None if the table names or holds images.

    Raises:
        DatasetError: The file can't be read, or a column is missing or has another type; the message names it, and for
            a value its line in the file.
        ResourceError: The table does not fit into memory.
    """
    table = _read_csv(path) if path.suffix == ".csv" else _read_parquet(path)
    if table is None:
        return None
    columns = table.columns.column_names
    if LABEL not in columns:
        raise DatasetError(
            f"{path} has the columns {', '.join(columns)[:_LONGEST]}. It needs the column {LABEL!r} with class numbers "
            "from 0, one for each row."
        )
    place = f"The column {LABEL!r} of {path}"
    labels = number_labels(table.columns[LABEL], names, place, locate=table.locate)
    classes = int(labels.max()) + 1
    if TOKENS in columns:
        return TokenSet(path.name, _tokens(table.columns[TOKENS], path), labels, classes)
    features = [name for name in columns if name != LABEL]
    values = [_numbers(table, name) for name in features]
    if not values:
        raise DatasetError(f"{path} has only the column {LABEL!r}. Add a column for each feature.")
    return RowSet(path.name, torch.stack(values, dim=1), labels, classes, tuple(features))


def _read_csv(path: Path) -> _Table | None:
    try:
        dialect = find_dialect(path)
        names = list(dialect.header)
        _check_column_count(len(names), path)
        if not _holds_samples(names, path):
            return None
        # In a text a value and its separator take at least two bytes.
        _require_values(path, path.stat().st_size // 2)
        columns = _parse(path, dialect)
        table = _drop_unnamed(columns.rename_columns(names), dialect, path)
    # pyarrow raises a ValueError for names that are not UTF-8.
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise DatasetError(
            f"{path} can't be read as a table ({' '.join(str(error).split())[:_LONGEST]}). Save it as CSV in UTF-8 or "
            "as parquet."
        ) from error
    return _check_not_empty(_Table(path, table, dialect))


def _parse(path: Path, dialect: Dialect) -> "pa.Table":
    try:
        return arrow_csv.read_csv(
            path, parse_options=dialect.parse_options(), convert_options=dialect.convert_options()
        )
    except pa.ArrowInvalid as error:
        uneven = find_uneven_line(path, dialect)
        if uneven is None:
            raise
        line, count = uneven
        raise DatasetError(
            f"Line {line} of {path} has {count:,} values, but the header has {len(dialect.header):,} columns. "
            "Correct or remove the line."
        ) from error


def _drop_unnamed(table: "pa.Table", dialect: Dialect, path: Path) -> "pa.Table":
    """Leave out an index column without a name, and the empty column behind a separator at the end of each line."""
    if len(dialect.header) > 1 and not dialect.header[-1] and table.column(-1).null_count == table.num_rows:
        warn(f"{path}: each line ends with a separator. The empty column behind it was left out.")
        table = table.remove_column(table.num_columns - 1)
    if dialect.has_index:
        warn(f"{path}: the first column has no name. It was left out as the index of the rows.")
        table = table.remove_column(0)
    elif dialect.header[:1] == (_PANDAS_INDEX,):
        warn(
            f"{path}: the first column, {_PANDAS_INDEX!r}, is read as a feature, as by pandas. Remove it if it is an "
            "index that the network does not take."
        )
    return table


def _read_parquet(path: Path) -> _Table | None:
    with open_parquet(path) as file:
        names = file.schema_arrow.names
        if not _holds_samples(names, path):
            return None
        # Equal values compress to almost nothing, so the file's size does not bound their number.
        _require_values(path, file.metadata.num_rows * file.metadata.num_columns)
        return _check_not_empty(_Table(path, file.read()))


def _check_column_count(count: int, path: Path) -> None:
    if count > _MOST_COLUMNS:
        raise DatasetError(
            f"{path} has {count:,} columns, but at most {_MOST_COLUMNS:,} are supported. Remove columns."
        )


def _holds_samples(names: list[str], path: Path) -> bool:
    """Return whether a table with these columns holds samples other than images."""
    name, times = Counter(names).most_common(1)[0] if names else ("", 0)
    if times > 1:
        raise DatasetError(
            f"{path} has several columns named {name[:_LONGEST]!r}. Give each column a different name."
        )
    _check_column_count(len(names), path)
    return not any(name in names for name in _NAMES_IMAGES)


def _require_values(path: Path, count: int) -> None:
    """Raise a `ResourceError` if this number of values does not fit into memory."""
    require_memory(
        f"The values of {path}", _BYTES * count, remedy="use fewer rows or columns, or free memory"
    )


def _check_not_empty(table: _Table) -> _Table:
    if not table.columns.num_rows:
        raise DatasetError(f"{table.path} has no rows. Add a row for each sample.")
    return table


def _numbers(table: _Table, name: str) -> Tensor:
    column = table.columns[name]
    try:
        # Booleans become 0 and 1, and missing values NaN.
        values = pc.cast(
            pc.cast(column, pa.int8()) if pa.types.is_boolean(column.type) else column, pa.float64()
        )
    except pa.ArrowException as error:
        raise table.refuse_value(name) from error
    # Values beyond float32 become infinite.
    with np.errstate(over="ignore"):
        numbers = values.to_numpy(zero_copy_only=False).astype("float32")
    finite = np.isfinite(numbers)
    if not finite.all():
        raise DatasetError(
            f"{table.place(int(finite.argmin()))} has no finite number in the column {name[:_LONGEST]!r}. Fill in the "
            "value or remove the row."
        )
    return torch.from_numpy(numbers)


def _tokens(column: "pa.ChunkedArray", path: Path) -> Tensor:
    try:
        if pa.types.is_string(column.type):
            column = pc.split_pattern(pc.utf8_trim_whitespace(column), " ")
        lists = pc.cast(column, pa.list_(pa.int64()))
        lengths = pc.unique(pc.list_value_length(lists)).to_pylist()
        values = pc.list_flatten(lists)
    except pa.ArrowException as error:
        raise DatasetError(
            f"The column {TOKENS!r} of {path} holds {str(column.type)[:_LONGEST]}, not lists of whole numbers. Store "
            "the token numbers of your tokenizer."
        ) from error
    if len(lengths) != 1 or not lengths[0] or values.null_count:
        raise DatasetError(
            f"The sequences of {path} have {len(lengths)} different lengths and {values.null_count:,} missing values. "
            "Pad them to one length, as your network expects them."
        )
    return torch.from_numpy(values.to_numpy(zero_copy_only=False).copy()).view(-1, lengths[0])
