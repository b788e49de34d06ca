"""A table with one wide column of text and narrow columns of numbers, laid out in one pass.

rich's own table measures and renders each cell several times, which takes seconds for a thousand rows.
"""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_GAP = 2

Row = tuple[Sequence[tuple[str, str]], Sequence[str]]
"""The lines of the wide cell, each with its style, and the numbers beside the first of them."""


def lay_out(console: Console, headings: Sequence[str], rows: Sequence[Row]) -> Text:
    """Lay out a table for the width of a console.

    A line that is too long continues on the next one. Numbers are never broken.

    Args:
        console: The console that prints the table.
        headings: The heading of the wide column, and those of the numbers.
        rows: The rows.

    Returns:
        The table without spaces at the ends of lines, to be printed with `soft_wrap`.
    """
    widths = [
        max(cell_len(text) for text in column)
        for column in zip(headings[1:], *(numbers for _, numbers in rows), strict=True)
    ]
    taken = sum(_GAP + width for width in widths)
    longest = max(cell_len(line) for line in (headings[0], *(line for cell, _ in rows for line, _ in cell)))
    wide = max(1, min(longest, console.width - taken))
    table = Text()

    def add(cell: Sequence[tuple[str, str]], numbers: Sequence[str], style: str) -> None:
        aligned = "".join(
            " " * (_GAP + width - cell_len(number)) + number
            for number, width in zip(numbers, widths, strict=True)
        )
        lines = [(part, kind) for line, kind in cell for part in _wrapped(console, line, wide)]
        for index, (line, kind) in enumerate(lines):
            table.append(line, kind or style)
            if index == 0:
                table.append((" " * (wide - cell_len(line)) + aligned).rstrip(), style)
            table.append("\n")

    add([(headings[0], "")], headings[1:], "bold")
    for cell, numbers in rows:
        add(cell, numbers, "")
    table.right_crop(1)
    return table


def _wrapped(console: Console, line: str, width: int) -> list[str]:
    """Break a line at spaces, and words that are too long anywhere."""
    if cell_len(line) <= width:
        return [line.rstrip()]
    return [part.plain.rstrip() for part in Text(line).wrap(console, width, overflow="fold")]
