from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from palimpsest.comparison import COLUMNS, ComparedRun
from palimpsest.comparison.plots import _figure, save_comparison_pictures, score_plots, short_label

NAMES = {column.name: column for column in COLUMNS}


def run(name: str, mse: float = 0.02, top1: float = 0.5) -> ComparedRun:
    return ComparedRun(
        Path(f"runs/{name}"),
        {"data": "digits", "defenses": name, "attack": "igf"},
        {"mse": mse, "top1": top1},
        {"mse": (mse / 2, 2 * mse)},
        12.0,
        True,
        {"top1": 0.1},
    )


def test_axes_start_at_zero_and_shares_end_at_one() -> None:
    runs = [run("one", 0.020, 0.50), run("two", 0.021, 0.51)]
    assert _figure(NAMES["mse"], runs).axes[0].get_xlim()[0] == 0
    low, high = _figure(NAMES["top1"], runs).axes[0].get_xlim()
    assert low == pytest.approx(0, abs=0.03)
    assert high == pytest.approx(1, abs=0.03)


def test_chance_is_marked_for_every_run_that_has_one() -> None:
    runs = [run("one"), replace(run("two"), chances={})]
    crosses = [line for line in _figure(NAMES["top1"], runs).axes[0].lines if line.get_marker() == "x"]
    assert [float(line.get_xdata()[0]) for line in crosses] == [0.1]
    captions = {plot.title: plot.caption for plot in score_plots(runs)}
    assert "Cross: chance." in captions["Identified (top-1), by run"]
    assert "Cross" not in captions["MSE, by run"]


def test_labels_of_twenty_runs_do_not_collide() -> None:
    runs = [run(f"attack.epochs-{epochs}_defenses-orthogonal_seed-{epochs}") for epochs in range(100, 120)]
    figure = _figure(NAMES["mse"], runs)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    for labels in (axes.get_yticklabels(), axes.get_xticklabels()):
        boxes = [label.get_window_extent() for label in labels if label.get_text()]
        assert len(boxes) > 2
        assert not any(one.overlaps(other) for one, other in pairwise(boxes))
    # Half of the width is left for the plot.
    assert axes.get_window_extent().width > 0.4 * figure.bbox.width


def test_a_long_name_keeps_both_ends() -> None:
    assert short_label("a" * 26) == "a" * 26
    assert short_label(f"first{'x' * 30}last") == f"first{'x' * 7}…{'x' * 8}last"


def test_writes_png_and_svg(tmp_path: Path) -> None:
    runs = [run("one"), run("two", 0.04)]
    names = sorted(path.name for path in save_comparison_pictures(runs, tmp_path))
    assert names == ["mse.png", "mse.svg", "top1.png", "top1.svg"]
    assert (tmp_path / "mse.png").read_bytes()[:4] == b"\x89PNG"
    first = (tmp_path / "top1.svg").read_bytes()
    save_comparison_pictures(runs, tmp_path)
    assert (tmp_path / "top1.svg").read_bytes() == first
