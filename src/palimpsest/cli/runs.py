"""`palimpsest runs`."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from palimpsest.api.reports import COLUMNS, ComparedRun
from palimpsest.api.reports import runs as list_runs
from palimpsest.cli.options import Debug, Json
from palimpsest.cli.output import print_json
from palimpsest.cli.wide_column import Row, lay_out
from palimpsest.display import escape_control_characters, format_number

_NUMBERS = tuple(column for column in COLUMNS if column.name in ("mse", "top1"))


def runs(folder: Path = Path("runs"), *, machine: Json = False, debug: Debug = False) -> None:
    """List the runs under a folder with their attacks and scores.

    Parameters
    ----------
    folder
        Folder to search.
    """
    found = list_runs(folder)
    if machine:
        damaged = {str(path): reason for path, reason in found.damaged.items()}
        return print_json(runs=found.to_json(), damaged=damaged)
    console = Console()
    if not found.runs and not found.damaged:
        console.print(
            f"There are no runs under {folder}. `palimpsest audit` creates one.",
            highlight=False,
            markup=False,
        )
    if found.runs:
        console.print(_table(console, folder, found.runs), soft_wrap=True)
    for path, reason in found.damaged.items():
        console.print(
            f"{escape_control_characters(str(path))}: {escape_control_characters(reason)}",
            highlight=False,
            markup=False,
        )
    return None


def _table(console: Console, folder: Path, listed: tuple[ComparedRun, ...]) -> Text:
    """Build a table with a row for each run: its name, its numbers, and below the name what it attacked.

    Each name has its own line, so that a narrow terminal breaks neither names nor numbers.
    """
    # A narrow terminal has no room for the part of a heading in parentheses.
    headings = ["run", *(column.heading.partition(" (")[0] for column in _NUMBERS), "seconds"]
    rows: list[Row] = []
    for run in listed:
        name = run.folder.relative_to(folder) if run.folder != folder else run.folder
        summary = f"{run.what['attack']} on {run.what['data']}"
        if run.what["defenses"] != "none":
            summary += f", defended with {run.what['defenses']}"
        if "top1" in run.intervals and "top1" in run.chances:
            low, high = run.intervals["top1"]
            summary += f"; identified {low:.1%} to {high:.1%}, chance {run.chances['top1']:.1%}"
        if run.purged:
            summary += "; purged"
        numbers = [
            format_number(run.values[column.name], column.form) if column.name in run.values else ""
            for column in _NUMBERS
        ]
        seconds = f"{run.seconds:,.0f}" if run.finished else "stopped"
        lines = [
            (escape_control_characters(str(name)), ""),
            (f"  {escape_control_characters(summary)}", "dim"),
        ]
        rows.append((lines, [*numbers, seconds]))
    return lay_out(console, headings, rows)
