"""The page of a comparison: a sortable table, and a plot of each score."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from palimpsest.comparison.columns import COLUMNS, Column
from palimpsest.comparison.run_summary import ComparedRun
from palimpsest.comparison.table import format_cell, format_parts, run_names, varying_keys
from palimpsest.report.figures import STYLE, Plot
from palimpsest.report.pictures import save_figure
from palimpsest.report.render import asset, content_policy, template
from palimpsest.report.svg import COLORS, inline_svg

_PLOTTED = ("mse", "top1", "lpips", "linked")


def render_comparison(runs: Sequence[ComparedRun], *, title: str) -> str:
    """Render a comparison as one self-contained page, which holds numbers but no samples.

    Args:
        runs: The runs; at least one.
        title: The heading of the page.
    """
    style, script = asset("report.css"), asset("theme.js") + asset("comparison.js")
    names, keys = run_names(runs), varying_keys(runs)
    columns = [column for column in COLUMNS if any(column.name in run.values for run in runs)]
    rows = [
        [
            (name, "", "", name),
            *((run.what[key], "", "", run.what[key]) for key in keys),
            *((*format_parts(column, run), run.values.get(column.name, "")) for column in columns),
            (f"{run.seconds:,.0f}" if run.finished else "stopped", "", "", run.seconds),
        ]
        for name, run in zip(names, runs, strict=True)
    ]
    headings = [("run", ""), *((key, "") for key in keys)]
    headings += [(column.heading, "figure") for column in columns] + [("seconds", "figure")]
    return template("comparison.html").render(
        title=title,
        policy=content_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        runs=runs,
        meanings=[(column.heading, column.meaning) for column in columns],
        same=[(key, value) for key, value in runs[0].what.items() if key not in keys],
        headings=headings,
        rows=rows,
        figures=[_plot(column, names, runs) for column in columns if column.name in _PLOTTED],
    )


def save_comparison_pictures(runs: Sequence[ComparedRun], folder: Path) -> list[Path]:
    """Write the plots of the page, one for each score, as PNG and SVG.

    Args:
        runs: The runs; at least one.
        folder: The folder to write to.

    Returns:
        The paths of the files.
    """
    names = run_names(runs)
    columns = [
        column
        for column in COLUMNS
        if column.name in _PLOTTED and any(column.name in run.values for run in runs)
    ]
    return [
        path for column in columns for path in save_figure(_figure(column, names, runs), folder / column.name)
    ]


def _plot(column: Column, names: Sequence[str], runs: Sequence[ComparedRun]) -> Plot:
    values = "; ".join(f"{name} {format_cell(column, run)}" for name, run in zip(names, runs, strict=True))
    with matplotlib.rc_context(STYLE):
        svg = inline_svg(
            _figure(column, names, runs),
            name=f"compared-{column.name}",
            description=f"{column.heading}: {values}",
        )
    side = "left" if column.better == "low" else "right"
    caption = f"Dot: value of the run. Line: 95\N{NO-BREAK SPACE}% interval. Further {side}: the attack reveals more."
    return Plot(f"{column.heading[:1].upper()}{column.heading[1:]}, by run", svg, caption)


def _figure(column: Column, names: Sequence[str], runs: Sequence[ComparedRun]) -> Figure:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 0.9 + 0.24 * len(runs)), layout="constrained")
        axes = figure.subplots()
        for index, run in enumerate(runs):
            value = run.values.get(column.name)
            if value is None:
                continue
            ends = run.intervals.get(column.name, (value, value))
            axes.plot(ends, [index, index], color=COLORS["blue"])
            axes.plot(value, index, "o", color=COLORS["blue"], markersize=4)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.grid(axis="x", color=COLORS["rule"], linewidth=0.4)
        if column.form.endswith("%"):
            axes.xaxis.set_major_formatter(PercentFormatter(1))
            axes.xaxis.set_major_locator(MaxNLocator(5))
            left, right = axes.get_xlim()
            axes.set_xlim(max(left, -0.005), min(right, 1.005))
        axes.set_xlabel(
            f"{column.heading} ({'lower' if column.better == 'low' else 'higher'}: attack reveals more)"
        )
        return figure
