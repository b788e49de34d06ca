from pathlib import Path

from palimpsest.comparison import ComparedRun
from palimpsest.comparison.page import render_comparison, save_comparison_pictures


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


def test_writes_png_and_svg(tmp_path: Path) -> None:
    runs = [run("one", 0.02, "none"), run("two", 0.04, "sign")]
    names = sorted(path.name for path in save_comparison_pictures(runs, tmp_path))
    assert names == ["mse.png", "mse.svg", "top1.png", "top1.svg"]
    assert (tmp_path / "mse.png").read_bytes()[:4] == b"\x89PNG"
    first = (tmp_path / "top1.svg").read_bytes()
    save_comparison_pictures(runs, tmp_path)
    assert (tmp_path / "top1.svg").read_bytes() == first
