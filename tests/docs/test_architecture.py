"""Page about the architecture, and its picture."""

import re

import pytest
from docs.architecture import PICTURE, arrange, crossings, draw, essential, horizontal_centers, layers, route
from tests.support.markdown import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "src" / "palimpsest"


def test_the_picture_is_up_to_date() -> None:
    assert PICTURE.read_text(encoding="utf-8") == draw(), "The picture is out of date. Run make architecture."


def test_every_folder_has_a_layer_and_a_table_row() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert {name for row in layers() for name in row} == folders | modules
    table = PAGE.partition("## Folders")[2].partition("## Where")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == folders
    assert set(re.findall(r"`(\w+)\.py`", table)) == modules


def test_modules_on_the_page_exist() -> None:
    named = re.findall(r"`([\w/]+(?:\.py|/))`", PAGE)
    assert len(named) > 25
    assert [path for path in named if not any((root / path).exists() for root in (PACKAGE, ROOT))] == []


def test_implied_arrows_are_left_out() -> None:
    assert essential({("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")}) == [("a", "b"), ("a", "d"), ("b", "c")]


def test_long_arrows_have_a_node_on_each_crossed_layer() -> None:
    rows, paths = route([["a"], ["b"], ["c"], ["d"]], [("a", "d"), ("b", "c")])
    assert rows == [["a"], ["b", "a>d@1"], ["c", "a>d@2"], ["d"]]
    assert paths == {("a", "d"): ["a", "a>d@1", "a>d@2", "d"], ("b", "c"): ["b", "c"]}


def test_rows_are_ordered_without_crossings_and_overlap() -> None:
    rows, links = [["a", "b", "c"], ["x", "y", "z"]], [("a", "z"), ("b", "y"), ("c", "x")]
    assert crossings(rows, links) == 3
    ordered = arrange(rows, links)
    assert crossings(ordered, links) == 0
    centers = horizontal_centers(ordered, links)
    for row in ordered:
        left, middle, right = (centers[name] for name in row)
        assert middle - left == pytest.approx(150)
        assert right - middle == pytest.approx(150)
