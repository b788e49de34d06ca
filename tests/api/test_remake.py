from pathlib import Path

import pytest

import palimpsest as pp
from palimpsest.api.remake import Study, Table, catalog, remake


def test_rejects_unknown_tables_and_unsupported_selections() -> None:
    with pytest.raises(pp.PalimpsestError, match="igf-table1"):
        pp.reproduce("igf-table9")
    with pytest.raises(pp.PalimpsestError, match="leave cells and seeds out"):
        pp.reproduce("verifiers", seeds=(1, 2))


def test_the_catalog_holds_studies_and_tables() -> None:
    names = catalog()
    assert isinstance(names["igf-table2"], Study)
    assert isinstance(names["verifiers"], Table)
    assert all(study.name == name for name, study in names.items() if isinstance(study, Study))


def test_the_table_is_made_without_failed_cells(tmp_path: Path) -> None:
    too_many = {"data": {"name": "digits"}, "unlearning": {"count": 100_000}}
    table, failure = remake("igf-table2", too_many, cells=["none", "sign"], out=tmp_path, quiet=True)
    assert failure.startswith("2 of 2 cells could not be computed. The first is none: ")
    assert (table.name, table.folder) == ("igf-table2", tmp_path)
    assert [cell["name"] for cell in table.to_json()["cells"]] == ["none", "sign"]
