from pathlib import Path

import pytest

import palimpsest as pp
from palimpsest.api.remake import Study, Table, catalog, remake


def test_a_table_that_does_not_exist_is_refused() -> None:
    with pytest.raises(pp.PalimpsestError, match="igf-table1"):
        pp.reproduce("igf-table9")
    with pytest.raises(pp.PalimpsestError, match="leave cells and seeds out"):
        pp.reproduce("verifiers", seeds=(1, 2))


def test_the_catalog_has_every_name_once() -> None:
    names = catalog()
    assert isinstance(names["igf-table2"], Study)
    assert isinstance(names["verifiers"], Table)
    assert all(one.name == name for name, one in names.items() if isinstance(one, Study))


def test_a_table_stands_without_the_cells_that_can_not_be_computed(tmp_path: Path) -> None:
    too_many = {"data": {"name": "digits"}, "unlearning": {"count": 100_000}}
    table, failure = remake("igf-table2", too_many, cells=["none", "sign"], out=tmp_path, quiet=True)
    assert failure.startswith("2 of 2 cells could not be computed, the first one, none, because: ")
    assert (table.name, table.folder) == ("igf-table2", tmp_path)
    assert [cell["name"] for cell in table.to_json()["cells"]] == ["none", "sign"]
