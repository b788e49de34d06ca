"""The page of a comparison: a sortable table with links to the reports, and a plot of each score."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from palimpsest.comparison.columns import COLUMNS
from palimpsest.comparison.plots import score_plots
from palimpsest.comparison.run_summary import ComparedRun
from palimpsest.comparison.same_samples import SAMPLES_PAGE
from palimpsest.comparison.table import format_parts, run_names, varying_keys
from palimpsest.report.render import asset, content_policy, template


def render_comparison(
    runs: Sequence[ComparedRun], *, title: str, folder: Path | None = None, samples: bool = False
) -> str:
    """Render a comparison as one self-contained page, which holds numbers but no samples.

    Args:
        runs: The runs; at least one.
        title: The heading of the page.
        folder: The folder of the page, from which it links to the reports. If omitted, it has no links.
        samples: Link to the page of the same samples side by side.
    """
    style, script = asset("report.css"), asset("theme.js") + asset("comparison.js")
    names, keys = run_names(runs), varying_keys(runs)
    columns = [column for column in COLUMNS if any(column.name in run.values for run in runs)]
    rows = [
        [
            (name, "", "", name),
            (run.verdict or "–", "", "", run.verdict),
            *((run.what[key], "", "", run.what[key]) for key in keys),
            *((*format_parts(column, run), run.values.get(column.name, "")) for column in columns),
            (f"{run.seconds:,.0f}" if run.finished else "stopped", "", "", run.seconds),
        ]
        for name, run in zip(names, runs, strict=True)
    ]
    headings = [("run", ""), ("verdict", ""), *((key, "") for key in keys)]
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
        rows=list(zip(rows, [_link(run, folder) for run in runs], strict=True)),
        samples=SAMPLES_PAGE if samples else "",
        figures=score_plots(runs),
    )


def _link(run: ComparedRun, folder: Path | None) -> str:
    """Return the relative address of a run's report; empty if there is none."""
    report = run.folder / "report.html"
    if folder is None or not report.is_file():
        return ""
    # With "./" in front, no folder's name can be taken for the scheme of an address.
    return quote(f"./{os.path.relpath(report.resolve(), folder.resolve())}")
