from pathlib import Path

import pytest

from palimpsest.datasets.csv_dialect import find_dialect
from palimpsest.datasets.csv_lines import describe_value, find_uneven_line, line_of_row


def test_lines_are_those_of_an_editor(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbf"a\nb";label\r\n\r\n1;0\r\n"2\n\n";1\r\n3;2\r\n4\r\n')
    dialect = find_dialect(path)
    assert [line_of_row(path, dialect, row) for row in range(4)] == [4, 5, 8, 9]
    assert find_uneven_line(path, dialect) == (9, 1)
    with pytest.raises(IndexError):
        line_of_row(path, dialect, 4)


def test_an_even_file_has_no_uneven_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n\n3,4\n")
    assert find_uneven_line(tmp_path / "a.csv", find_dialect(tmp_path / "a.csv")) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" ? ", "missing value"),
        ("None", "missing value"),
        ("1,500", "thousands separator"),
        ("-12 345 678,9", "thousands separator"),
        ("1'000", "thousands separator"),
        ("1,50", "not a number"),
        ("1,500 000", "not a number"),
        ("red", "not a number"),
    ],
)
def test_the_likely_cause_is_named(text: str, words: str) -> None:
    assert words in describe_value(text)
