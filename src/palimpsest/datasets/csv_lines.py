"""Lines of a CSV file as an editor numbers them, for messages about a value or a row."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from palimpsest.datasets.csv_dialect import Dialect

_THOUSANDS = re.compile(r"[+-]?\d{1,3}([,.'\u2019\u00a0\u202f ])\d{3}(\1\d{3})*([.,]\d+)?")
_MISSING = frozenset({"", "?", "-", ".", "*", "none", "missing", "unknown", "<na>"})


def line_of_row(path: Path, dialect: Dialect, row: int) -> int:
    """Return the number of the line, from 1, on which a row of the table begins.

    Args:
        path: The file, which pyarrow could read.
        dialect: Its dialect.
        row: The row, from 0; the header is not counted, and neither are empty lines.
    """
    for place, (line, _) in enumerate(_lines(path, dialect)):
        if place == row + 1:
            return line
    raise IndexError(f"{path} has no row {row}")


def find_uneven_line(path: Path, dialect: Dialect) -> tuple[int, int] | None:
    """Find the first row that does not have a value for each column.

    Args:
        path: The file.
        dialect: Its dialect.

    Returns:
        The number of the line, from 1, and the number of its values; None if all rows are even.
    """
    for line, values in _lines(path, dialect):
        if len(values) != len(dialect.header):
            return line, len(values)
    return None


def describe_value(text: str) -> str:
    """Say why a text is not read as a number, as the rest of a sentence with a remedy.

    Args:
        text: The value as it is in the file.
    """
    if text.strip().lower() in _MISSING:
        return "which is a missing value. Fill it in or remove the row"
    if _THOUSANDS.fullmatch(text.strip()):
        return "which has a thousands separator, or another decimal mark than the rest of the table. Write it without"
    return "which is not a number. Encode it as your network expects it"


def is_number(text: str) -> bool:
    """Return whether a text is a number in Python's notation.

    Args:
        text: The value as it is in the file.
    """
    try:
        float(text)
    except ValueError:
        return False
    return True


def _lines(path: Path, dialect: Dialect) -> Iterator[tuple[int, list[str]]]:
    """Yield the first line and the values of the header and of each row; empty lines are left out, as by pyarrow."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file, delimiter=dialect.separator)
        before = 0
        for values in reader:
            if values:
                yield before + 1, values
            before = reader.line_num
