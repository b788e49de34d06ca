from pathlib import Path
from typing import Any

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tests.support.warnings import Warnings

from palimpsest.datasets import RowSet, TokenSet, read_table
from palimpsest.errors import DatasetError, ResourceError
from palimpsest.progress import with_callbacks


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_reads_columns_of_numbers_as_features_in_order(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "a.csv", "age,label,smokes,pulse\n41,1,true,60.5\n7,0,false,-2e3\n"))
    assert isinstance(table, RowSet)
    assert table.columns == ("age", "smokes", "pulse")
    assert table.rows.tolist() == [[41, 1, 60.5], [7, 0, -2000]]
    assert table.labels.tolist() == [1, 0]
    assert (table.classes, table.shape, len(table)) == (2, (3,), 2)


def test_reads_tokens_from_lists_or_text(tmp_path: Path) -> None:
    text = read_table(write(tmp_path / "a.csv", "tokens,label\n 5 0 12 ,0\n1 2 3,2\n"))
    columns = {"tokens": [[5, 0, 12], [1, 2, 3]], "label": [0, 2]}
    pq.write_table(pa.table(columns), tmp_path / "b.parquet")
    lists = read_table(tmp_path / "b.parquet")
    assert isinstance(text, TokenSet)
    assert isinstance(lists, TokenSet)
    assert text.tokens.tolist() == lists.tokens.tolist() == columns["tokens"]
    assert text.fingerprint == lists.fingerprint
    assert text.classes == 3


@pytest.mark.parametrize("column", ["file_name", "image", "img"])
def test_ignores_tables_of_images(tmp_path: Path, column: str) -> None:
    assert read_table(write(tmp_path / "a.csv", f"{column},label\nx,0\n")) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a,b\n1,2\n", "needs the column 'label'"),
        ("a,label\n", "no rows"),
        ("label\n0\n", "only the column 'label'"),
        ("a,label\nred,0\n", "Line 2 of .* has 'red' in the column 'a', which is not a number"),
        ("a,label\n1,0\n,1\n", "Line 3 .* no finite number in the column 'a'"),
        ("a,label\ninf,0\n", "Line 2 .* no finite number"),
        ("a,label\n1,-1\n", "label -1 in line 2"),
        ("a,label\n1,0.5\n", "regression"),
        ("a,label\n1,99999999\n", "99999999"),
        ("a,label\n1e300,0\n", "Line 2 .* no finite number"),
        ("tokens,label\n1 2000000,0\n", "token outside 0 to 1,048,575"),
        ("a,a,label\n1,2,0\n", "several columns named 'a'"),
        ("tokens,label\n1 2,0\n1 2 3,0\n", "Pad them to one length"),
        ("tokens,label\n1 x,0\n", "not lists of whole numbers"),
        ("tokens,label\n1 -2,0\n", "token outside 0"),
        ("tokens,label\n0.5,0\n", "not lists of whole numbers"),
        ("a,label\n1,2,3\n", "Line 2 of .* has 3 values, but the header has 2 columns"),
        ("a,b,label\n" + "1,2,0\n" * 60 + "1,0\n", "Line 62 of .* has 2 values, but the header has 3"),
        ("a,label\n1,0\n\nNA,1\n", "Line 4 .* no finite number"),
        ("a,label\n1,0\n?,1\n", r"Line 3 of .* has '\?' in the column 'a', which is a missing value"),
        (
            "a;b;label\n1,5;1.500,5;0\n",
            "Line 2 of .* has '1.500,5' in the column 'b', which has a thousands separator",
        ),
        ('a,label\n"1,500.5",0\n', "Line 2 of .* has '1,500.5' .* thousands separator"),
        ('"a\nb",label\n1,0\n"x\ny",1\n', r"Line 4 of .* has 'x\\ny' in the column"),
        ("a,d,label\n1,2020-01-01,0\n", "The column 'd' of .* holds date32"),
        ("a,label\n1,0\n2,\n", "has no label in line 3"),
        ("a,label\n1,0\n2,cat\n", "label 'cat' in line 3"),
        ("a, a,label\n1,2,0\n", "several columns named 'a'"),
        ("," * 20_000 + "\n", "20,001 columns"),
        ('"a\nb"' + "," * 20_000 + "\n", "20,001 columns"),
    ],
)
def test_names_what_is_wrong_with_a_table(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DatasetError, match=reason):
        read_table(write(tmp_path / "a.csv", text))


def test_rejects_damaged_parquet(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="can't be read"):
        read_table(write(tmp_path / "a.parquet", "PAR1nonsensePAR1"))


def test_ignores_partition_columns_in_folder_names(tmp_path: Path) -> None:
    (tmp_path / "site=3").mkdir()
    path = tmp_path / "site=3" / "a.parquet"
    pq.write_table(pa.table({"label": [0], "x": [1.0]}), path)
    table = read_table(path)
    assert isinstance(table, RowSet)
    assert table.columns == ("x",)


def test_rejects_a_label_beyond_int64(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"label": pa.array([2**63], pa.uint64()), "x": [1.0]}), path)
    with pytest.raises(DatasetError, match="9223372036854775808"):
        read_table(path)


def test_recognizes_a_table_of_images_without_reading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": [b"x"], "label": [0]}), path)
    monkeypatch.setattr(pq.ParquetFile, "read", None)
    assert read_table(path) is None


def test_rejects_compressed_values_that_do_not_fit_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column with a single value takes almost no space in a file."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({name: [0] * 60_000 for name in ("label", "a", "b")}), path)
    assert path.stat().st_size < 60_000
    monkeypatch.setattr("palimpsest.system.memory.available_memory", lambda: 2**20)
    with pytest.raises(ResourceError, match=r"values of .*a.parquet need"):
        read_table(path)


@pytest.mark.parametrize(
    "text",
    [
        "a;b;label\n1,5;2;0\n-0,5;1e3;1\n",
        "a\tb\tlabel\n1,5\t2\t0\n-0,5\t1e3\t1\n",
        "\ufeffa,b,label\r\n1.5,2,0\r\n-0.5,1e3,1\r\n",
        ",a,b,label\n0,1.5,2,0\n1,-0.5,1e3,1\n",
    ],
    ids=["semicolons", "tabs", "byte order mark", "index"],
)
def test_reads_tables_as_spreadsheets_and_pandas_write_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode())
    rows = read_table(tmp_path / "a.csv")
    assert isinstance(rows, RowSet)
    assert rows.columns == ("a", "b")
    assert rows.rows.tolist() == [[1.5, 2.0], [-0.5, 1000.0]]
    assert rows.labels.tolist() == [0, 1]


def test_rejects_column_names_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"h\xf6he,label\n1.5,0\n")
    with pytest.raises(DatasetError, match="Save it as CSV in UTF-8"):
        read_table(tmp_path / "a.csv")


DIALECTS = [
    ("a,b,label\n1.5,2,0\n-0.5,3,1\n", {}),
    ("a;b;label\n1,5;2;0\n-0,5;1e3;1\n", {"sep": ";", "decimal": ","}),
    ("a\tb\tlabel\n1,5\t2\t0\n-0,5\t1e3\t1\n", {"sep": "\t", "decimal": ","}),
    ("\ufeffa,b,label\r\n1.5,2,0\r\n", {}),
    ("a,b,label\n1e3,2E-2,0\n-1.5e+3,+3,1\n", {}),
    ('"a","b, x","label"\n"1","2","0"\n', {}),
    ("a,b,label\n1,7,0\n2,7,1\n", {}),
    ("a,label\nTrue,0\nFalse,1\n", {}),
    ("a, b, label\n1, 2, 0\n\n3, 4, 1\n", {"skipinitialspace": True}),
    (",a,label\n0,1.5,0\n1,2,1\n", {"index_col": 0}),
    ("Unnamed: 0,a,label\n0,1.5,0\n1,2,1\n", {}),
]


@pytest.mark.parametrize(("text", "settings"), DIALECTS)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_reads_what_pandas_reads(tmp_path: Path, text: str, settings: dict[str, Any], suffix: str) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode())
    frame = pandas.read_csv(tmp_path / "a.csv", **settings)
    frame.to_parquet(tmp_path / "a.parquet", index=False)
    table = read_table(tmp_path / f"a{suffix}")
    assert isinstance(table, RowSet)
    assert list(table.columns) == [name for name in frame.columns if name != "label"]
    assert torch.equal(table.rows, torch.tensor(frame[list(table.columns)].to_numpy("float32")))
    assert table.labels.tolist() == frame["label"].tolist()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (",a,label\n0,1,0\n", "the first column has no name"),
        ("Unnamed: 0,a,label\n0,1,0\n", "'Unnamed: 0', is read as a feature"),
        ("a,label,\n1,0,\n2,1,\n", "each line ends with a separator"),
    ],
)
def test_says_which_columns_may_be_no_features(tmp_path: Path, text: str, words: str) -> None:
    warnings = Warnings()
    with with_callbacks(warnings):
        table = read_table(write(tmp_path / "a.csv", text))
    assert table is not None
    assert [words in message for message in warnings.messages] == [True]


def test_names_the_row_of_a_parquet_table(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1.0, None], "label": [0, 1]}), tmp_path / "a.parquet")
    with pytest.raises(DatasetError, match=r"Row 1 of .* no finite number in the column 'a'"):
        read_table(tmp_path / "a.parquet")
    pq.write_table(pa.table({"a": ["1", "x"], "label": [0, 1]}), tmp_path / "a.parquet")
    with pytest.raises(DatasetError, match=r"Row 1 of .* has 'x' in the column 'a'"):
        read_table(tmp_path / "a.parquet")


def test_rejects_values_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,label\n1,0\n\xe4,1\n")
    with pytest.raises(DatasetError, match=r"The column 'a' of .* is not in UTF-8"):
        read_table(tmp_path / "a.csv")
