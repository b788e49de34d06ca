from pathlib import Path

from palimpsest.comparison import ComparedRun
from palimpsest.report.compared import render_comparison


def run(name: str, mse: float, defense: str) -> ComparedRun:
    what = {"data": "digits", "defences": defense, "attack": "igf"}
    return ComparedRun(
        Path(f"runs/{name}"), what, {"mse": mse, "top1": 0.5}, {"mse": (mse / 2, 2 * mse)}, 12.0, True
    )


def test_the_page_has_a_row_for_each_run_and_no_way_out() -> None:
    page = render_comparison([run("one", 0.02, "none"), run("two", 0.04, "<sign>")], title="Two & more")
    assert "Two &amp; more" in page
    assert "&lt;sign&gt;" in page
    assert "<sign>" not in page
    assert 'data-value="0.04"' in page
    assert "all with data digits, attack igf" in page
    assert "http:" not in page.replace("http://www.w3.org", "")
    assert page.count("<svg") == 2
