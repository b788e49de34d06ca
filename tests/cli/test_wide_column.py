"""The fast table against rich's own."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from palimpsest.cli.wide_column import Row, lay_out

HEADINGS = ["run", "MSE", "seconds"]
ROWS: list[Row] = [
    ([("first", ""), ("  igf on digits; identified 0.0% to 2.8%", "dim")], ["0.1843", "1,052"]),
    ([("a/very-long-name-without-any-space-that-is-folded", ""), ("  short", "dim")], ["", "stopped"]),
    ([("漢字の名前", ""), ("  [bold]no markup[/bold]", "dim")], ["12.5", "3"]),
]


def reference_table(rows: list[Row]) -> Table:
    """Lay out the rows with rich (correct, slow)."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(HEADINGS[0], overflow="fold", ratio=1)
    for heading in HEADINGS[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    for cell, numbers in rows:
        lines = (line.replace("[", r"\[") for line, _ in cell)
        table.add_row("\n".join(lines), *numbers)
    return table


def printed(width: int, table: Table | None = None) -> list[str]:
    """Return the lines that a console prints, without spaces at their ends."""
    console = Console(file=io.StringIO(), width=width)
    if table is None:
        console.print(lay_out(console, HEADINGS, ROWS), soft_wrap=True)
    else:
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [30, 44, 80, 200])
def test_equals_the_table_of_rich(width: int) -> None:
    assert printed(width) == printed(width, reference_table(ROWS))


def test_lines_keep_their_styles() -> None:
    console = Console(file=io.StringIO(), width=80)
    spans = lay_out(console, HEADINGS, ROWS).spans
    assert {str(span.style) for span in spans} == {"bold", "dim"}


def test_a_table_without_rows_has_its_headings() -> None:
    console = Console(file=io.StringIO(), width=80)
    assert lay_out(console, HEADINGS, []).plain.split() == HEADINGS
