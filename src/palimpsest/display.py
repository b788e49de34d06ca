"""Formatting of results: numbers as text, HTML for notebooks, pandas data frames, and safe terminal output."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from palimpsest.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas

_LONGEST_CELL = 300


def escape_control_characters(text: str) -> str:
    r"""Replace characters that could control a terminal by their escapes.

    Args:
        text: Text from an untrusted source, such as a file name or a sender's metadata.

    Example:
        >>> escape_control_characters("a\x1b[2J")
        'a\\x1b[2J'
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def format_number(value: float, form: str) -> str:
    """Format a number, in scientific notation if it is too small for a fixed-point format.

    Args:
        value: The number.
        form: A format specification, such as `.4f` or `.1%`.

    Example:
        >>> format_number(0.0123, ".4f"), format_number(1.21e-11, ".4f")
        ('0.0123', '1.2e-11')
    """
    small = form.endswith("f") and 0 < abs(value) < 1e-3
    return f"{value:.1e}" if small else f"{value:{form}}"


def frame(
    rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str], index: str | None = None
) -> "pandas.DataFrame":
    """Convert rows to a pandas data frame.

    Args:
        rows: Mappings from columns to values; a missing value becomes NaN.
        columns: All columns, in order; an empty frame has them too.
        index: The column that becomes the index. If omitted, rows are numbered.

    Raises:
        ConfigurationError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise ConfigurationError("A data frame needs pandas: pip install pandas.") from error
    table = pandas.DataFrame(list(rows), columns=list(columns))
    return table if index is None else table.set_index(index)


def html_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """Build an HTML table for a notebook. Text in cells is escaped.

    Args:
        headings: The headings of the columns.
        rows: The cells of each row, in the order of the headings.
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
    """Build an HTML paragraph for a notebook. The text is escaped.

    Args:
        text: The paragraph.
        strong: Print the paragraph in bold.
    """
    return Markup("<p><strong>{}</strong></p>" if strong else "<p>{}</p>").format(text)


def _cell(value: object) -> str | Markup:
    if isinstance(value, Markup):
        return value
    text = str(value)
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]} ..."
