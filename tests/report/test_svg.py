import re
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from palimpsest.report.svg import COLORS, inline_svg


@pytest.fixture
def figure() -> Figure:
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=COLORS["rubric"], linestyle="--", marker="o")
    axes.fill_between([0, 1], [0, 1], color=COLORS["blue"], alpha=0.5)
    axes.set_xlabel("epochs <&>", color=COLORS["ink"])
    return figure


def test_contains_nothing_that_the_policy_forbids(figure):
    text = inline_svg(figure, name="a", description="A line.")
    assert "style" not in text
    assert "<!DOCTYPE" not in text
    assert "metadata" not in text


def test_colors_become_classes(figure):
    text = inline_svg(figure, name="a", description="A line.")
    for name in ("stroke-rubric", "fill-blue", "fill-ink"):
        assert f'class="{name}' in text or f' {name}"' in text
    assert COLORS["rubric"] not in text
    assert 'stroke-dasharray="' in text


def test_text_is_escaped(figure):
    assert "epochs &lt;&amp;&gt;" in inline_svg(figure, name="a", description="A line.")


def test_description_is_an_attribute(figure):
    root = ElementTree.fromstring(inline_svg(figure, name="a", description='a "quoted" <b>'))
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'a "quoted" <b>'


def test_identifiers_are_unique_and_references_have_targets(figure):
    first, second = (inline_svg(figure, name=name, description="A line.") for name in "ab")
    identifiers = [set(re.findall(r' id="([^"]+)"', text)) for text in (first, second)]
    assert not identifiers[0] & identifiers[1]
    references = set(re.findall(r'(?:href="#|url\(#)([^")]+)', first))
    assert references
    assert references == identifiers[0]


def test_is_deterministic(figure):
    assert inline_svg(figure, name="a", description="") == inline_svg(figure, name="a", description="")
