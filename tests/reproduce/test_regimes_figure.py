"""Panels, lines and marks of the figure of regimes."""

from matplotlib.axes import Axes
from numpy.testing import assert_allclose

from palimpsest.reproduce import Cell
from palimpsest.reproduce.regimes import STUDIES
from palimpsest.reproduce.regimes_figure import draw_regimes
from palimpsest.reproduce.summary import Summary, estimate

STUDY = STUDIES["dragd-regimes"]


def summary(name: str, errors: list[float], distance: float) -> Summary:
    numbers = {"parameter distance": distance, "test accuracy": 0.9, "prior alone: MSE": 0.06}
    columns = {name: estimate([number]) for name, number in numbers.items()}
    scores = {"mse": estimate(errors), "identification_top1": estimate([0.5, 0.7])}
    return Summary(Cell(name, "mnist-dragdp", {}), (1, 2), scores, columns, {}, 20, 1.0)


def points(axes: Axes, label: str) -> list[tuple[float, float]]:
    line = next(line for line in axes.lines if line.get_label() == label)
    return [(float(x), float(y)) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]  # pyright: ignore[reportArgumentType] - matplotlib's data may be any array


def test_each_network_has_a_panel_and_each_attack_a_line_ordered_by_distance() -> None:
    cells = [
        summary("relu-5-retrain-one", [0.3, 0.3], 0.5),
        summary("relu-5-1-one", [0.4, 0.4], 1.0),
        summary("relu-5-0.1-one", [0.1, 0.3], 0.1),
        summary("relu-5-0.1-two", [0.1, 0.1], 0.1),
        summary("sigmoid-0-0.1-two", [0.5, 0.5], 0.1),
    ]
    left, right, below, _ = draw_regimes(STUDY, cells).axes
    assert left.get_title() == "relu-5, 90% accurate"
    assert_allclose(points(left, "one stage"), [(0.1, 0.2), (0.5, 0.3), (1.0, 0.4)])
    assert points(left, "two stages") == [(0.1, 0.1)]
    assert points(right, "one stage") == []
    assert_allclose(points(below, "two stages"), [(0.1, 0.6)])
    assert_allclose([y for _, y in points(left, "prior alone")], 0.06)


def test_exact_retraining_has_an_open_mark() -> None:
    cells = [summary("relu-5-retrain-one", [0.3, 0.3], 0.5), summary("relu-5-1-one", [0.4, 0.4], 1.0)]
    axes = draw_regimes(STUDY, cells).axes[0]
    marks = {
        line.get_xdata()[0]: line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "o"
    }  # pyright: ignore[reportIndexIssue] - matplotlib's data may be any array
    assert marks[0.5] == "white"
    assert marks[1.0] != "white"
