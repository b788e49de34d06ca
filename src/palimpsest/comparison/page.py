"""The page of a comparison: one table that sorts, and a picture of each score."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from palimpsest.comparison.columns import COLUMNS, Column
from palimpsest.comparison.run_summary import ComparedRun
from palimpsest.comparison.table import run_names, varying_keys, written, written_apart
from palimpsest.report.figures import STYLE
from palimpsest.report.pictures import save_figure
from palimpsest.report.render import asset, content_policy, template
from palimpsest.report.svg import COLORS, inline_svg

_DRAWN = ("mse", "top1", "lpips", "confirmed")


def render_comparison(runs: Sequence[ComparedRun], *, title: str) -> str:
    """Runs beside each other on one self-contained page; it holds numbers and no image.

    Args:
        runs: At least one.
        title: The page's heading.
    """
    style, script = asset("report.css"), asset("theme.js") + asset("comparison.js")
    names, keys = run_names(runs), varying_keys(runs)
    shown = [column for column in COLUMNS if any(column.name in run.values for run in runs)]
    rows = [
        [
            (name, "", "", name),
            *((run.what[key], "", "", run.what[key]) for key in keys),
            *((*written_apart(column, run), run.values.get(column.name, "")) for column in shown),
            (f"{run.seconds:,.0f}" if run.finished else "stopped", "", "", run.seconds),
        ]
        for name, run in zip(names, runs, strict=True)
    ]
    headings = [("run", ""), *((key, "") for key in keys)]
    headings += [(column.heading, "figure") for column in shown] + [("seconds", "figure")]
    return template("comparison.html").render(
        title=title,
        policy=content_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        runs=runs,
        meanings=[(column.heading, column.meaning) for column in shown],
        same=[(key, value) for key, value in runs[0].what.items() if key not in keys],
        headings=headings,
        rows=rows,
        figures=[_drawn(column, names, runs) for column in shown if column.name in _DRAWN],
    )


def save_comparison_pictures(runs: Sequence[ComparedRun], folder: Path) -> list[Path]:
    """Write the page's pictures, one for each score, as PNG and SVG.

    Args:
        runs: At least one.
        folder: Where they go.
    """
    names = run_names(runs)
    shown = [one for one in COLUMNS if one.name in _DRAWN and any(one.name in run.values for run in runs)]
    return [path for one in shown for path in save_figure(_figure(one, names, runs), folder / one.name)]


def _drawn(column: Column, names: Sequence[str], runs: Sequence[ComparedRun]) -> Markup:
    told = "; ".join(f"{name} {written(column, run)}" for name, run in zip(names, runs, strict=True))
    with matplotlib.rc_context(STYLE):
        return inline_svg(
            _figure(column, names, runs),
            name=f"compared-{column.name}",
            description=f"{column.heading}: {told}",
        )


def _figure(column: Column, names: Sequence[str], runs: Sequence[ComparedRun]) -> Figure:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 0.9 + 0.24 * len(runs)), layout="constrained")
        axes = figure.subplots()
        for place, run in enumerate(runs):
            value = run.values.get(column.name)
            if value is None:
                continue
            ends = run.intervals.get(column.name, (value, value))
            axes.plot(ends, [place, place], color=COLORS["blue"])
            axes.plot(value, place, "o", color=COLORS["blue"], markersize=4)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.grid(axis="x", color=COLORS["rule"], linewidth=0.4)
        if column.form.endswith("%"):
            axes.xaxis.set_major_formatter(PercentFormatter(1))
            axes.xaxis.set_major_locator(MaxNLocator(5))
            left, right = axes.get_xlim()
            axes.set_xlim(max(left, -0.005), min(right, 1.005))
        direction = "more is read further " + ("left" if column.better == "low" else "right")
        axes.set_xlabel(f"{column.heading} ({direction})")
        return figure
