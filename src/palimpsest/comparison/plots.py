"""The plot of each score of a comparison, for the page and as files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from palimpsest.comparison.columns import COLUMNS, Column
from palimpsest.comparison.run_summary import ComparedRun
from palimpsest.comparison.table import format_cell, run_names
from palimpsest.report.drawing import drawing_settings, new_figure
from palimpsest.report.figures import STYLE, Plot
from palimpsest.report.pictures import save_figure
from palimpsest.report.svg import COLORS, inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


PLOTTED = ("mse", "top1", "lpips", "linked")
"""The columns of which the page has a plot."""
_LONGEST_LABEL = 26


def score_plots(runs: Sequence[ComparedRun]) -> list[Plot]:
    """Plot each score that a run has, with one line for each run.

    Args:
        runs: The runs; at least one.
    """
    return [_plot(column, runs) for column in _columns(runs)]


def save_comparison_pictures(runs: Sequence[ComparedRun], folder: Path) -> list[Path]:
    """Write the plots of the page, one for each score, as PNG and SVG.

    Args:
        runs: The runs; at least one.
        folder: The folder to write to.

    Returns:
        The paths of the files.
    """
    return [
        path for column in _columns(runs) for path in save_figure(_figure(column, runs), folder / column.name)
    ]


def short_label(name: str) -> str:
    """Return a name that fits beside a plot: a long one keeps both ends, which differ most often.

    Args:
        name: The name of a run.
    """
    if len(name) <= _LONGEST_LABEL:
        return name
    half = (_LONGEST_LABEL - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def _columns(runs: Sequence[ComparedRun]) -> list[Column]:
    return [
        column
        for column in COLUMNS
        if column.name in PLOTTED and any(column.name in run.values for run in runs)
    ]


def _plot(column: Column, runs: Sequence[ComparedRun]) -> Plot:
    values = "; ".join(
        f"{name} {format_cell(column, run)}" for name, run in zip(run_names(runs), runs, strict=True)
    )
    with drawing_settings(STYLE):
        svg = inline_svg(
            _figure(column, runs),
            name=f"compared-{column.name}",
            description=f"{column.heading}: {values}",
        )
    side = "left" if column.better == "low" else "right"
    chance = " Cross: chance." if any(column.name in run.chances for run in runs) else ""
    caption = (
        f"Dot: value of the run. Line: 95\N{NO-BREAK SPACE}% interval.{chance} Further {side}: the attack reveals "
        "more."
    )
    return Plot(f"{column.heading[:1].upper()}{column.heading[1:]}, by run", svg, caption)


def _figure(column: Column, runs: Sequence[ComparedRun]) -> "Figure":
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    with drawing_settings(STYLE):
        figure = new_figure(4.6, 0.9 + 0.24 * len(runs))
        axes = figure.subplots()
        for index, run in enumerate(runs):
            _draw(axes, column, run, index)
        axes.set_yticks(range(len(runs)), [short_label(name) for name in run_names(runs)])
        axes.set_ylim(len(runs) - 0.5, -0.5)
        axes.grid(axis="x", color=COLORS["rule"], linewidth=0.4)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        # Every score is at least 0: an axis that starts elsewhere would exaggerate the differences.
        if column.form.endswith("%"):
            axes.xaxis.set_major_formatter(PercentFormatter(1))
            axes.set_xlim(-0.02, 1.02)
        else:
            axes.set_xlim(0, 1.05 * max(axes.get_xlim()[1], 1e-9))
        axes.set_xlabel(
            f"{column.heading} ({'lower' if column.better == 'low' else 'higher'}: attack reveals more)"
        )
        return figure


def _draw(axes: "Axes", column: Column, run: ComparedRun, index: int) -> None:
    """Draw the value, the interval and the chance level of one run."""
    value, chance = run.values.get(column.name), run.chances.get(column.name)
    if chance is not None:
        axes.plot(chance, index, "x", color=COLORS["ink"], markersize=5)
    if value is not None:
        ends = run.intervals.get(column.name, (value, value))
        axes.plot(ends, [index, index], color=COLORS["blue"])
        axes.plot(value, index, "o", color=COLORS["blue"], markersize=4)
