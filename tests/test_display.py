import sys
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from palimpsest.display import escape_control_characters, format_number, frame, html_paragraph, html_table
from palimpsest.errors import ConfigurationError


@given(st.text(st.characters()))
def test_escaped_text_is_printable_and_stays_the_same(text: str) -> None:
    escaped = escape_control_characters(text)
    assert escaped.isprintable()
    assert escape_control_characters(escaped) == escaped


@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs")).filter(str.isprintable)))
def test_printable_text_is_not_changed(text: str) -> None:
    assert escape_control_characters(text) == text


def test_replaces_control_characters_by_their_escapes() -> None:
    assert escape_control_characters("a\x1b[2Jb\n\u202ec") == r"a\x1b[2Jb\n\u202ec"


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.0123, ".4f", "0.0123"),
        (1.21e-11, ".4f", "1.2e-11"),
        (-4e-5, ".2f", "-4.0e-05"),
        (0.0, ".2f", "0.00"),
        (0.5, ".1%", "50.0%"),
        (1e-6, ".1%", "0.0%"),
    ],
)
def test_formats_small_numbers_in_scientific_notation(value: float, form: str, text: str) -> None:
    assert format_number(value, form) == text


@given(st.floats(1e-300, 1e6))
def test_formats_no_positive_number_as_zero(value: float) -> None:
    assert float(format_number(value, ".4f")) > 0


def test_empty_frame_has_its_columns() -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    rows = [{"run": "a", "mse": 0.5}, {"run": "b"}]
    table = frame(rows, columns=("run", "mse"), index="run")
    assert table.loc["a", "mse"] == 0.5
    assert table["mse"].isna().tolist() == [False, True]
    empty = frame([], columns=("run", "mse"))
    assert list(empty.columns) == ["run", "mse"]
    assert len(empty) == 0


def test_names_the_package_that_a_frame_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigurationError, match="pip install pandas"):
        frame([], columns=("run",))


class Parsed(HTMLParser):
    """The tags and the text of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text())
def test_escapes_the_text_of_cells_and_paragraphs(text: str) -> None:
    table = Parsed(html_table([text], [[text]]))
    assert table.tags == ["table", "thead", "tr", "th", "tbody", "tr", "td"]
    assert table.text == 2 * text
    for strong in (False, True):
        paragraph = Parsed(html_paragraph(text, strong=strong))
        assert paragraph.tags == ["p", "strong"][: 1 + strong]
        assert paragraph.text == text


def test_table_has_a_cell_for_each_value() -> None:
    table = html_table(["run", "<b>"], [["a & b", 0.5], [Markup("<i>c</i>"), "x" * 400]])
    assert table == (
        "<table><thead><tr><th>run</th><th>&lt;b&gt;</th></tr></thead><tbody>"
        "<tr><td>a &amp; b</td><td>0.5</td></tr>"
        f"<tr><td><i>c</i></td><td>{'x' * 300} ...</td></tr></tbody></table>"
    )
