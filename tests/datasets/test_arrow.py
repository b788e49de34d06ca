"""Reading of tables and parquet files without pyarrow, which an extra installs."""

import importlib
from pathlib import Path

import pytest
from tests.support.without import without

from palimpsest.datasets import load_images, read_table
from palimpsest.errors import MissingDependencyError

_MESSAGE = r"Reading parquet files and tables needs the package pyarrow, .*'palimpsest-audit\[datasets\]'"


def test_tables_and_parquet_files_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without("pyarrow", monkeypatch)
    for name in ("table.csv", "table.parquet"):
        (tmp_path / name).write_text("height,label\n1.5,0\n", encoding="utf-8")
        with pytest.raises(MissingDependencyError, match=_MESSAGE):
            read_table(tmp_path / name)
    with pytest.raises(MissingDependencyError, match=_MESSAGE):
        load_images(str(tmp_path / "table.parquet"), "train")


def test_digits_need_no_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    without("pyarrow", monkeypatch)
    with pytest.raises(ImportError):
        importlib.import_module("pyarrow")
    assert len(load_images("digits", "train")) == 897
