import json
from pathlib import Path

import pytest
from tests.support.run_folders import run_folder

from palimpsest.comparison import as_csv, as_json, as_markdown, read_run
from palimpsest.comparison.comparison import Comparison
from palimpsest.errors import RunError


def test_keeps_the_order_of_runs(runs: list[Path]) -> None:
    comparison = Comparison.read(reversed(runs))
    assert [run.folder for run in comparison] == runs[::-1]
    assert len(comparison) == 2


def test_converts_like_the_table_functions(runs: list[Path]) -> None:
    comparison = Comparison.read(runs)
    compared = [read_run(folder) for folder in runs]
    assert comparison.to_markdown() == as_markdown(compared)
    assert comparison.to_csv() == as_csv(compared)
    assert comparison.to_json() == as_json(compared)


def test_damaged_runs_raise_or_are_collected(runs: list[Path], tmp_path: Path) -> None:
    (runs[0] / "metrics.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        Comparison.read(runs)
    comparison = Comparison.read(runs, damaged=True)
    assert [run.folder for run in comparison] == runs[1:]
    assert list(comparison.damaged) == runs[:1]
    assert "is damaged" in comparison.damaged[runs[0]]
    assert "is damaged" in comparison._repr_html_()


def test_frame_has_a_row_for_each_run_and_both_interval_ends(runs: list[Path]) -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    table = Comparison.read(runs).to_frame()
    assert list(table.index) == ["a", "b"]
    assert table.loc["b", "defenses"] == "prune (ratio 0.5)"
    assert (table.loc["a", "mse"], table.loc["a", "mse_low"], table.loc["a", "mse_high"]) == (
        0.02,
        0.01,
        0.03,
    )
    assert table.loc["a", "top1_chance"] == 0.1
    assert table["finished"].all()
    assert len(Comparison(()).to_frame()) == 0


def test_saves_all_files_in_one_folder(runs: list[Path], tmp_path: Path) -> None:
    comparison = Comparison.read(runs)
    folder = tmp_path / "deep" / "comparison"
    page = comparison.save(folder, title="Two runs")
    assert page == folder / "comparison.html"
    assert "Two runs" in page.read_text()
    assert (folder / "comparison.md").read_text() == comparison.to_markdown()
    assert (folder / "comparison.csv").read_text() == comparison.to_csv()
    assert json.loads((folder / "comparison.json").read_text()) == comparison.to_json()
    assert not (folder / "pictures").exists()


def test_saves_pictures_on_request(runs: list[Path], tmp_path: Path) -> None:
    Comparison.read(runs).save(tmp_path, pictures=True)
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert names >= {"mse.png", "mse.svg", "top1.png"}


def test_notebook_table_shows_differences_and_escapes_markup(tmp_path: Path) -> None:
    runs = [
        run_folder(tmp_path / "a", data={"name": "<b>x</b>"}),
        run_folder(tmp_path / "b", data={"name": "digits"}),
    ]
    (runs[1] / "metrics.json").unlink()
    html = Comparison.read(runs)._repr_html_()
    assert "<th>data</th>" in html
    assert "<th>attack</th>" not in html
    assert "&lt;b&gt;x&lt;/b&gt;" in html
    assert "<td>stopped</td>" in html


def test_empty_comparison_has_a_message() -> None:
    assert "no run that can be read" in Comparison(())._repr_html_()
