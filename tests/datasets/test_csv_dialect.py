from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv as arrow_csv

from palimpsest.datasets.csv_dialect import find_dialect
from palimpsest.errors import DatasetError


@pytest.mark.parametrize(
    ("text", "separator", "decimal", "header"),
    [
        ("a,b,label\n1.5,2,0\n", ",", ".", ("a", "b", "label")),
        ("a;b;label\n1,5;2;0\n", ";", ",", ("a", "b", "label")),
        ("a;b;label\r\n1.5;2;0\r\n", ";", ".", ("a", "b", "label")),
        ("\ufeffa\tlabel\n1,5\t0\n", "\t", ",", ("a", "label")),
        ("a|label\n-1,5e3|0\n", "|", ",", ("a", "label")),
        (",a,label\n0,1.5,0\n", ",", ".", ("", "a", "label")),
        ("tokens,label\n3 4 5,0\n", ",", ".", ("tokens", "label")),
        ("label\n0\n", ",", ".", ("label",)),
        ('"x;y",label\n1,0\n', ",", ".", ("x;y", "label")),
    ],
)
def test_the_dialect_is_found(
    tmp_path: Path, text: str, separator: str, decimal: str, header: tuple[str, ...]
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode())
    dialect = find_dialect(path)
    assert (dialect.separator, dialect.decimal, dialect.header) == (separator, decimal, header)
    assert dialect.has_index == (header[0] == "")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    with pytest.raises(DatasetError, match=r"a\.csv is empty"):
        find_dialect(tmp_path / "a.csv")


@given(
    rows=st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=5),
    dialect=st.sampled_from([(",", "."), (";", ","), (";", "."), ("\t", ","), ("|", ",")]),
)
def test_numbers_are_read_back_in_every_dialect(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[float]], dialect: tuple[str, str]
) -> None:
    separator, decimal = dialect
    path = tmp_path_factory.mktemp("dialect") / "a.csv"
    lines = [
        separator.join("xyz"),
        *(separator.join(f"{v:.4f}".replace(".", decimal) for v in row) for row in rows),
    ]
    path.write_text("\n".join(lines) + "\n")
    found = find_dialect(path)
    table = arrow_csv.read_csv(
        path, parse_options=found.parse_options(), convert_options=found.convert_options()
    )
    read = list(zip(*(table[name].to_pylist() for name in "xyz"), strict=True))
    assert read == [tuple(round(v, 4) for v in row) for row in rows]
