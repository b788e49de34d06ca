"""How results show themselves: numbers as text, tables of HTML for notebooks, and pandas for those who go on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from palimpsest.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas

_LONGEST = 300


def escape_control_characters(text: str) -> str:
    """Text in which nothing commands the terminal: a file's name, or what a sender says, may hold anything."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def in_form(value: float, form: str) -> str:
    """A number in its form, or by its power of ten where that would leave nothing but zeros of it."""
    small = form.endswith("f") and 0 < abs(value) < 1e-3
    return f"{value:.1e}" if small else f"{value:{form}}"


def frame(
    rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str], index: str | None = None
) -> "pandas.DataFrame":
    """Rows as a pandas frame.

    Args:
        rows: Each a mapping from column to value; what a row lacks is missing in the frame.
        columns: All columns, in order; they are there also where there is no row.
        index: The column that names the rows; none numbers them.

    Raises:
        ConfigurationError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ConfigurationError("A frame needs pandas: pip install pandas.") from error
    table = pandas.DataFrame(list(rows), columns=list(columns))
    return table if index is None else table.set_index(index)


def html_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table for a notebook; whatever a cell holds, it stays text.

    Args:
        headings: One for each column.
        rows: Cells, in the headings' order.
    """
    head = Markup("").join(Markup("<th>{}</th>").format(_cell(heading)) for heading in headings)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(Markup("<td>{}</td>").format(_cell(value)) for value in row)
        )
        for row in rows
    )
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, body)


def html_paragraph(text: str, *, strong: bool = False) -> Markup:
    """A paragraph for a notebook."""
    return Markup("<p><strong>{}</strong></p>" if strong else "<p>{}</p>").format(text)


def _cell(value: object) -> str | Markup:
    if isinstance(value, Markup):
        return value
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
