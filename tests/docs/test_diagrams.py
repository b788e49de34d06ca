import pytest
from markupsafe import Markup
from tests.support.markdown import ROOT

from docs import diagrams


@pytest.mark.parametrize("name", ["threat-models", "stages"])
def test_the_stored_diagram_is_the_drawn_one(name: str) -> None:
    drawn = getattr(diagrams, name.replace("-", "_"))()
    stored = (ROOT / "docs" / f"{name}.svg").read_text(encoding="utf-8")
    assert stored == drawn, "Draw it again: make architecture."


def test_text_is_escaped() -> None:
    drawn = diagrams.picture(10, 10, "a < b", [diagrams.Box(0, 0, 5, "x & y", ["<z>"])])
    assert "<title>a &lt; b</title>" in drawn
    assert all(f"{Markup.escape(text)}</text>" in drawn for text in ("x & y", "<z>"))
