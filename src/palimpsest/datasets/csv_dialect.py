"""The dialect of a CSV file: its separator, its decimal mark, and an index column without a name."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from palimpsest.datasets.arrow import arrow_csv
from palimpsest.errors import DatasetError

if TYPE_CHECKING:
    from pyarrow.csv import ConvertOptions, ParseOptions

_LONGEST_HEADER = 2**20
_SEPARATORS = (",", ";", "\t", "|")
_ROWS = 50


@dataclass(frozen=True)
class Dialect:
    """Separator, decimal mark and header of a CSV file.

    Args:
        separator: One character.
        decimal: The decimal mark, `.` or `,`.
        header: The names of the columns, without spaces around them.
    """

    separator: str
    decimal: str
    header: tuple[str, ...]

    @property
    def has_index(self) -> bool:
        """Whether the first column has no name, as pandas writes the index of its rows."""
        return len(self.header) > 1 and not self.header[0]

    def parse_options(self) -> "ParseOptions":
        """Return pyarrow's options for the separator."""
        return arrow_csv.ParseOptions(delimiter=self.separator)

    def convert_options(self) -> "ConvertOptions":
        """Return pyarrow's options for numbers."""
        return arrow_csv.ConvertOptions(decimal_point=self.decimal)


def find_dialect(path: Path) -> Dialect:
    """Find the dialect from the first lines of a CSV file.

    The separator is the one of comma, semicolon, tab and bar that cuts the header and the first rows into equally many
    columns, more than one. Decimal commas are possible only with another separator than the comma.

    Args:
        path: A text file in UTF-8, with or without a byte order mark.

    Raises:
        DatasetError: The file is empty.
        OSError: The file can't be read.
        ValueError: The header is not UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(_LONGEST_HEADER)
    # Later rows may be cut in the middle of a character, but the names of the columns have to be exact.
    content.partition(b"\n")[0].decode("utf-8-sig")
    beginning = content.decode("utf-8-sig", errors="replace")
    separator = max(_SEPARATORS, key=lambda one: _agreement(beginning, one))
    rows = _rows(beginning, separator)
    if not rows:
        raise DatasetError(f"{path} is empty: give a header and a row for each sample.")
    decimal = "," if separator != "," and _has_decimal_commas(rows[1:]) else "."
    return Dialect(separator, decimal, tuple(name.strip() for name in rows[0]))


def _rows(text: str, separator: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    return [row for row, _ in zip(reader, range(_ROWS), strict=False)]


def _agreement(text: str, separator: str) -> tuple[int, int]:
    """Count the first rows that have as many columns as the header, and these columns."""
    try:
        rows = _rows(text, separator)
    except csv.Error:
        return 0, 0
    columns = len(rows[0]) if rows else 0
    return (sum(len(row) == columns for row in rows), columns) if columns > 1 else (0, 0)


def _has_decimal_commas(rows: Sequence[Sequence[str]]) -> bool:
    """Whether more values are numbers with a comma than with a point."""
    marks: Counter[str] = Counter()
    for row in rows:
        for value in row:
            for mark in ",.":
                whole, _, fraction = value.strip().lstrip("+-").partition(mark)
                marks[mark] += whole.isdigit() and fraction.partition("e")[0].partition("E")[0].isdigit()
    return marks[","] > marks["."]
