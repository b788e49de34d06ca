from dataclasses import replace
from pathlib import Path

from palimpsest.comparison import ComparedRun
from palimpsest.comparison.page import render_comparison


def run(name: str, mse: float, defense: str) -> ComparedRun:
    what = {"data": "digits", "defenses": defense, "attack": "igf"}
    return ComparedRun(
        Path(f"runs/{name}"), what, {"mse": mse, "top1": 0.5}, {"mse": (mse / 2, 2 * mse)}, 12.0, True
    )


def test_page_has_all_runs_and_no_external_reference() -> None:
    page = render_comparison([run("one", 0.02, "none"), run("two", 0.04, "<sign>")], title="Two & more")
    assert "Two &amp; more" in page
    assert "&lt;sign&gt;" in page
    assert "<sign>" not in page
    assert 'data-value="0.04"' in page
    assert "all with data: digits; attack: igf." in page
    assert "http:" not in page.replace("http://www.w3.org", "")
    assert page.count("<svg") == 2


def test_links_to_reports_that_exist_and_to_the_same_samples(tmp_path: Path) -> None:
    one, two = (replace(run(name, 0.02, name), folder=tmp_path / name) for name in ("a b", "two"))
    one.folder.mkdir()
    (one.folder / "report.html").touch()
    page = render_comparison([one, two], title="Two", folder=tmp_path / "pages", samples=True)
    assert '<a href="./../a%20b/report.html">a b</a>' in page
    assert page.count("report.html") == 1
    assert 'href="comparison-samples.html"' in page
    plain = render_comparison([one, two], title="Two")
    assert 'href="./' not in plain
    assert "comparison-samples" not in plain


def test_shows_the_verdict_of_each_run() -> None:
    runs = [replace(run("one", 0.02, "none"), verdict="no leak found"), run("two", 0.04, "sign")]
    page = render_comparison(runs, title="Two")
    assert '<td data-value="no leak found">no leak found</td>' in page
    assert '<td data-value="">–</td>' in page
