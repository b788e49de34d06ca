"""Panels and lines of the figure of aggregated proofs."""

from matplotlib.axes import Axes
from numpy.testing import assert_allclose

from palimpsest.reproduce import Cell
from palimpsest.reproduce.aggregates import GROUP_MEAN, LINKED, LINKED_OTHERS, STUDIES
from palimpsest.reproduce.aggregates_figure import draw_aggregates
from palimpsest.reproduce.summary import Summary, estimate

STUDY = STUDIES["aggregates"]


def summary(size: float, mse: list[float], **columns: float) -> Summary:
    numbers = {name: estimate([value, value + 0.02]) for name, value in columns.items()}
    scores = {"mse": estimate(mse), "identification_top1": estimate([0.5, 0.7])}
    return Summary(Cell(f"{size}", "digits", {}, position=size), (1, 2), scores, numbers, {}, 20, 1.0)


def points(axes: Axes, label: str) -> list[tuple[float, float]]:
    line = next(line for line in axes.lines if line.get_label() == label)
    return [(float(x), float(y)) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)]  # pyright: ignore[reportArgumentType] - matplotlib's data may be any array


def test_each_number_is_a_line_over_the_size_and_absent_ones_are_left_out() -> None:
    cells = [
        summary(1, [0.01, 0.03], **{GROUP_MEAN: 0.0, LINKED: 0.9, LINKED_OTHERS: 0.8, "spot check": 0.98}),
        summary(8, [0.05, 0.07], **{GROUP_MEAN: 0.06, LINKED: 0.6, "spot check": 0.96}),
    ]
    errors, identified, linked, verifiers = draw_aggregates(STUDY, cells).axes
    assert_allclose(points(errors, "attack"), [(1, 0.02), (8, 0.06)])
    assert_allclose(points(errors, "group's true mean image (no attacker has it)"), [(1, 0.01), (8, 0.07)])
    assert points(errors, "mean auxiliary image") == []
    assert_allclose(points(identified, "attack"), [(1, 0.6), (8, 0.6)])
    assert_allclose(points(linked, "against images never trained on"), [(1, 0.91), (8, 0.61)])
    assert_allclose(points(linked, "against other groups"), [(1, 0.81)])
    assert_allclose(points(verifiers, "spot check"), [(1, 0.99), (8, 0.97)])
    assert [axes.get_xscale() for axes in (errors, linked)] == ["log", "log"]
