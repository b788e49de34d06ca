"""The table of a comparison: the settings that differ between runs, and their scores."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from palimpsest.comparison.columns import COLUMNS, Column
from palimpsest.comparison.run_summary import ComparedRun
from palimpsest.display import escape_control_characters, format_number


def as_markdown(runs: Sequence[ComparedRun]) -> str:
    """Return the table as Markdown, with intervals."""
    names = run_names(runs)
    columns = [column for column in COLUMNS if any(column.name in run.values for run in runs)]
    headings = ["run", "verdict", *varying_keys(runs), *(column.heading for column in columns), "seconds"]
    lines = [headings, ["---"] * len(headings)]
    for name, run in zip(names, runs, strict=True):
        numbers = [format_cell(column, run) for column in columns]
        settings = (run.what[key] for key in varying_keys(runs))
        lines.append([name, run.verdict or "–", *settings, *numbers, f"{run.seconds:,.0f}"])
    # An unescaped bar would end the column.
    rows = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def as_csv(runs: Sequence[ComparedRun]) -> str:
    """Return the table as CSV with full precision; intervals take two columns, chance takes one."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    keys = list(runs[0].what) if runs else []
    headings = [heading for column in COLUMNS for heading in _csv_headings(column)]
    writer.writerow(["run", "verdict", *keys, *headings, "seconds"])
    for name, run in zip(run_names(runs), runs, strict=True):
        numbers: list[Any] = []
        for column in COLUMNS:
            numbers.append(run.values.get(column.name, ""))
            if column.bounded:
                numbers += run.intervals.get(column.name, ("", ""))
            if column.guessed:
                numbers.append(run.chances.get(column.name, ""))
        writer.writerow([name, run.verdict, *run.what.values(), *numbers, round(run.seconds, 3)])
    return buffer.getvalue()


def as_json(runs: Sequence[ComparedRun]) -> list[dict[str, Any]]:
    """Return the table as plain values."""
    return [
        {
            "run": name,
            "verdict": run.verdict,
            **run.what,
            **run.values,
            "intervals": {key: list(ends) for key, ends in run.intervals.items()},
            "chance": run.chances,
            "seconds": run.seconds,
            "finished": run.finished,
        }
        for name, run in zip(run_names(runs), runs, strict=True)
    ]


def format_cell(column: Column, run: ComparedRun) -> str:
    """Format one score of one run, with its interval and chance if it has them."""
    value, interval, chance = format_parts(column, run)
    remark = "; ".join(filter(None, [interval, chance]))
    return f"{value} ({remark})" if remark else value


def format_parts(column: Column, run: ComparedRun) -> tuple[str, str, str]:
    """Format one score of one run, its interval and its chance; missing parts are empty."""
    value = run.values.get(column.name)
    if value is None:
        return "–", "", ""
    ends, chance = run.intervals.get(column.name), run.chances.get(column.name)
    return (
        format_number(value, column.form),
        " to ".join(format_number(end, column.form) for end in ends) if ends else "",
        f"chance {format_number(chance, column.form)}" if chance is not None else "",
    )


def varying_keys(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the settings that differ between the runs; all settings for a single run."""
    keys = list(runs[0].what) if runs else []
    return [key for key in keys if len({run.what[key] for run in runs}) > 1] or (
        keys if len(runs) == 1 else []
    )


def run_names(runs: Sequence[ComparedRun]) -> list[str]:
    """Return the distinguishing part of each run's path, without common leading and trailing folders."""
    parts = [run.folder.resolve().parts for run in runs]
    if len(parts) == 1:
        return [escape_control_characters(parts[0][-1])]
    while len({path[0] for path in parts}) == 1 and min(map(len, parts)) > 1:
        parts = [path[1:] for path in parts]
    while len({path[-1] for path in parts}) == 1 and min(map(len, parts)) > 1:
        parts = [path[:-1] for path in parts]
    return [escape_control_characters("/".join(path)) for path in parts]


def _csv_headings(column: Column) -> list[str]:
    ends = [f"{column.name}_low", f"{column.name}_high"] if column.bounded else []
    return [column.name, *ends, *([f"{column.name}_chance"] if column.guessed else [])]
