"""The table of runs beside each other: what differs between them, and their numbers."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from palimpsest.comparison.columns import COLUMNS, Column
from palimpsest.comparison.run_summary import ComparedRun
from palimpsest.display import escape_control_characters, format_number


def as_markdown(runs: Sequence[ComparedRun]) -> str:
    """The table as Markdown, with intervals."""
    names = run_names(runs)
    shown = [column for column in COLUMNS if any(column.name in run.values for run in runs)]
    heads = ["run", *varying_keys(runs), *(column.heading for column in shown), "seconds"]
    lines = [heads, ["---"] * len(heads)]
    for name, run in zip(names, runs, strict=True):
        numbers = [written(column, run) for column in shown]
        lines.append([name, *(run.what[key] for key in varying_keys(runs)), *numbers, f"{run.seconds:,.0f}"])
    # A bar would end the column.
    rows = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def as_csv(runs: Sequence[ComparedRun]) -> str:
    """The table as CSV: full numbers, each interval in two columns of its own, and chance in one."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    keys = list(runs[0].what) if runs else []
    heads = [head for column in COLUMNS for head in _csv_heads(column)]
    writer.writerow(["run", *keys, *heads, "seconds"])
    for name, run in zip(run_names(runs), runs, strict=True):
        numbers: list[Any] = []
        for column in COLUMNS:
            numbers.append(run.values.get(column.name, ""))
            if column.bounded:
                numbers += run.intervals.get(column.name, ("", ""))
            if column.guessed:
                numbers.append(run.chances.get(column.name, ""))
        writer.writerow([name, *run.what.values(), *numbers, round(run.seconds, 3)])
    return buffer.getvalue()


def as_json(runs: Sequence[ComparedRun]) -> list[dict[str, Any]]:
    """The table as plain values."""
    return [
        {
            "run": name,
            **run.what,
            **run.values,
            "intervals": {key: list(ends) for key, ends in run.intervals.items()},
            "chance": run.chances,
            "seconds": run.seconds,
            "finished": run.finished,
        }
        for name, run in zip(run_names(runs), runs, strict=True)
    ]


def written(column: Column, run: ComparedRun) -> str:
    """One number of one run, with its interval, and with what chance gives where that is known."""
    value, interval, chance = written_apart(column, run)
    told = "; ".join(filter(None, [interval, chance]))
    return f"{value} ({told})" if told else value


def written_apart(column: Column, run: ComparedRun) -> tuple[str, str, str]:
    """One number of one run, the ends of its interval, and what chance gives; what is not known is empty."""
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
    """What differs between the runs; all of it for a single run."""
    keys = list(runs[0].what) if runs else []
    return [key for key in keys if len({run.what[key] for run in runs}) > 1] or (
        keys if len(runs) == 1 else []
    )


def run_names(runs: Sequence[ComparedRun]) -> list[str]:
    """What of the runs' paths tells them apart, without what all of them begin or end with."""
    parts = [run.folder.resolve().parts for run in runs]
    if len(parts) == 1:
        return [escape_control_characters(parts[0][-1])]
    while len({one[0] for one in parts}) == 1 and min(map(len, parts)) > 1:
        parts = [one[1:] for one in parts]
    while len({one[-1] for one in parts}) == 1 and min(map(len, parts)) > 1:
        parts = [one[:-1] for one in parts]
    return [escape_control_characters("/".join(one)) for one in parts]


def _csv_heads(column: Column) -> list[str]:
    ends = [f"{column.name}_low", f"{column.name}_high"] if column.bounded else []
    return [column.name, *ends, *([f"{column.name}_chance"] if column.guessed else [])]
