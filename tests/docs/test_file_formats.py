import pytest
from docs.file_formats import PAGE, TABLES, table, with_tables


def test_the_page_has_the_tables_of_the_tests() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page), "The tables are out of date. Run python -m docs.file_formats."


@pytest.mark.parametrize("name", TABLES)
def test_every_format_has_a_name_of_its_own_and_a_row(name: str) -> None:
    cases = TABLES[name]
    assert len({str(case) for case in cases}) == len(cases)
    rows = table(cases)
    assert all(case.title in rows and case.outcome in rows for case in cases)


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="0 places for the table of checkpoints"):
        with_tables("text")
