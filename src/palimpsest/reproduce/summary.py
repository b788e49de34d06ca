"""Summaries of a cell's runs: means and intervals over seeds, and the study's table."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from palimpsest.comparison import Read, score_column
from palimpsest.display import format_number
from palimpsest.metrics import Interval, Metrics
from palimpsest.reproduce.published import Published
from palimpsest.reproduce.study import Cell, Column, Study

SCORES = {
    "mse": ("MSE", ".4f"),
    "psnr": ("PSNR", ".2f"),
    "ssim": ("SSIM", ".3f"),
    "lpips": ("LPIPS", ".3f"),
    "identification_top1": ("identified (top-1)", ".1%"),
}
"""Scores of a table, with their headings and formats."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95 % interval.

    Args:
        mean: The mean.
        low: Lower end of the interval over seeds or, with one seed, over its samples; None if unknown. If all seeds
            have the same value, the seeds give no interval; a share or an area then has the interval over samples.
        high: Upper end of the interval; None if unknown.
        values: The value of each seed, in the order of the seeds.
    """

    mean: float
    low: float | None
    high: float | None
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class Summary:
    """Results of a cell.

    Args:
        cell: The cell.
        seeds: Seeds whose runs finished.
        scores: Estimate of each score, by name; a score that is not available for all seeds is absent.
        columns: Estimate of each of the study's columns, by heading; absent likewise.
        facts: Facts that the attack reported in the first seed's run.
        forgotten: Number of reconstructed images.
        seconds: Wall-clock time of an audit over all stages, in seconds, mean over the seeds.
        failure: Reason why a seed is missing; empty if none is.
    """

    cell: Cell
    seeds: tuple[int, ...]
    scores: Mapping[str, Estimate]
    columns: Mapping[str, Estimate]
    facts: Mapping[str, float]
    forgotten: int
    seconds: float
    failure: str = ""


def summarize(
    cell: Cell, metrics: Mapping[int, Metrics], failure: str = "", *, columns: Sequence[Column] = ()
) -> Summary:
    """Summarize a cell's runs.

    Args:
        cell: The cell.
        metrics: Metrics of each finished run, by seed.
        failure: Reason of the last failed run; empty if all finished.
        columns: The study's additional columns.

    Returns:
        Means with intervals; empty if no run finished.
    """
    runs = list(metrics.values())
    if not runs:
        return Summary(cell, (), {}, {}, {}, 0, 0.0, failure)
    first = runs[0]
    assert first.reconstruction is not None, "an audit always knows its forgotten samples"
    return Summary(
        cell=cell,
        seeds=tuple(metrics),
        scores=_estimates(
            runs,
            {name: score_column(name) for name in SCORES},
            {name for name, (_, form) in SCORES.items() if form.endswith("%")},
        ),
        columns=_estimates(
            runs,
            {column.heading: column.read for column in columns},
            {column.heading for column in columns if column.in_unit_interval},
        ),
        facts=first.attack,
        forgotten=first.reconstruction.count,
        seconds=sum(sum(run.seconds.values()) for run in runs) / len(runs),
        failure=failure,
    )


def _estimates(
    runs: Sequence[Metrics], columns: Mapping[str, Read], shares: Collection[str]
) -> dict[str, Estimate]:
    """Estimate every number that all runs have; `shares` are the names of those that lie in [0, 1]."""
    estimates = {}
    for name, read in columns.items():
        readings = [reading for run in runs if (reading := read(run)) is not None]
        if len(readings) < len(runs):
            continue
        values, intervals = zip(*((reading.value, reading.interval) for reading in readings), strict=True)
        in_unit_interval = name in shares or len(runs) == 1
        estimates[name] = share_estimate(values, intervals) if in_unit_interval else estimate(values)
    return estimates


def estimate(values: Sequence[float]) -> Estimate:
    """Compute the mean of the runs' scores and its 95 % interval by Student's t.

    Args:
        values: The score of each run, at least one.

    Returns:
        The mean. Its interval is unknown with a single run, and if all runs have the same score, because equal scores
        of a few runs do not show that other runs would have it too.
    """
    from scipy.stats import t as student

    count = len(values)
    mean = sum(values) / count
    if min(values) == max(values):
        return Estimate(mean, None, None, tuple(values))
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1) / count)
    half = float(student.ppf(0.975, count - 1)) * spread
    return Estimate(mean, mean - half, mean + half, tuple(values))


def share_estimate(values: Sequence[float], intervals: Sequence[Interval | None]) -> Estimate:
    """Compute the mean of the runs' shares or areas, which lie in [0, 1], and its 95 % interval.

    Args:
        values: The share of each run, at least one.
        intervals: Its interval over the samples of each run; None means unknown.

    Returns:
        The mean. Its interval is that of Student's t over the runs, clipped to [0, 1]. With a single run, or if all
        runs have the same share, it is the hull of the runs' intervals over their samples.
    """
    found, known = estimate(values), [ends for ends in intervals if ends is not None]
    if found.low is not None and found.high is not None:
        return replace(found, low=max(0.0, found.low), high=min(1.0, found.high))
    if len(known) < len(values):
        return found
    return replace(found, low=min(low for low, _ in known), high=max(high for _, high in known))


def format_estimate(value: Estimate | None, form: str, *, missing: str = "absent") -> str:
    """Format a mean with its interval in parentheses.

    Args:
        value: The mean; None if it is not available.
        form: Format specification of its numbers.
        missing: Text for a number that is not available.
    """
    if value is None:
        return missing
    if value.low is None or value.high is None:
        return format_number(value.mean, form)
    return f"{format_number(value.mean, form)} ({format_number(value.low, form)} to {format_number(value.high, form)})"


def bracket_note(seeds: int) -> str:
    """Return the caption of the brackets of `estimate` and `share_estimate`, which says what they are over.

    Args:
        seeds: Number of seeds in the table, at least 1.
    """
    if seeds == 1:
        return "Brackets: 95 % interval over the samples of one run, not over seeds."
    return (
        "Values: means over seeds. Brackets: 95 % interval over seeds (Student's t). They are over the samples of one "
        "run in a row with a single seed, and for a share or area that is the same in all seeds. Another number that "
        "is the same in all seeds has none."
    )


def markdown(study: Study, summaries: Sequence[Summary], command: str) -> str:
    """Format the table as Markdown, with published values next to reproduced ones.

    Args:
        study: The study.
        summaries: Results of its cells.
        command: The command that reproduces the table.
    """
    paper = any(summary.cell.published for summary in summaries)
    sizes = any(summary.cell.size for summary in summaries)
    heads = ["cell"]
    heads += ["paper: MSE, PSNR, LPIPS", "MSE reached"] if paper else []
    heads += ["paper: length", "length"] if sizes else []
    heads += [*(heading for heading, _ in SCORES.values())]
    heads += [*(column.heading for column in study.columns), "images", "seconds"]
    lines = [f"# {study.title}", "", f"{study.source}.", "", f"    {command}", ""]
    lines += [_row(heads), _row(["---"] * len(heads))]
    lines += [_row(_cells(study, summary, paper=paper, sizes=sizes)) for summary in summaries]
    seeds = sorted({seed for summary in summaries for seed in summary.seeds})
    notes = [f"Seeds: {', '.join(map(str, seeds))}."] if seeds else []
    notes += [
        f"{summary.cell.name} is missing a seed: {summary.failure}"
        for summary in summaries
        if summary.seeds and summary.failure
    ]
    notes += [bracket_note(len(seeds))] if seeds else []
    if seeds:
        notes.append(
            "Chance: expected score of a random guess; for identified (top-1), 1 / number of images."
        )
    if paper:
        notes.append(
            "The paper computes LPIPS with another network and other inputs; its values are not comparable with ours."
        )
    if study.conclude and seeds:
        notes = [*study.conclude([summary for summary in summaries if summary.seeds]), "", *notes]
    return "\n".join([*lines, "", *notes, *study.notes, ""])


def as_json(study: Study, summaries: Sequence[Summary]) -> dict[str, Any]:
    """Return the table as plain values for JSON."""
    return {
        "study": study.name,
        "title": study.title,
        "source": study.source,
        "cells": [
            {
                "name": summary.cell.name,
                "published": asdict(summary.cell.published) if summary.cell.published else None,
                "size": summary.cell.size,
                "position": summary.cell.position,
                "seeds": list(summary.seeds),
                "scores": {name: asdict(value) for name, value in summary.scores.items()},
                "columns": {name: asdict(value) for name, value in summary.columns.items()},
                "facts": dict(summary.facts),
                "forgotten": summary.forgotten,
                "seconds": summary.seconds,
                "failure": summary.failure,
            }
            for summary in summaries
        ],
    }


def _cells(study: Study, summary: Summary, *, paper: bool, sizes: bool) -> list[str]:
    cell, published = summary.cell, summary.cell.published
    row = [cell.name]
    if not summary.seeds:
        # The message fills one cell: a line break would end the row, and a bar would end the cell.
        return [*row, " ".join(summary.failure.split()).replace("|", r"\|")]
    if paper:
        row += [_printed(published), _reached(summary)] if published else ["", ""]
    if sizes:
        row += [f"{cell.size:,}" if cell.size else "", f"{summary.facts['features']:,.0f}"]
    row += [format_estimate(summary.scores.get(score), form) for score, (_, form) in SCORES.items()]
    row += [format_estimate(summary.columns.get(column.heading), column.form) for column in study.columns]
    return [*row, f"{summary.forgotten:,}", f"{summary.seconds:,.0f}"]


def _printed(published: Published) -> str:
    return f"{published.mse:.4f}, {published.psnr:.2f}, {published.lpips:.3f}"


def _reached(summary: Summary) -> str:
    """Return `yes` if our mean error is at most the published one."""
    published, ours = summary.cell.published, summary.scores["mse"].mean
    return "yes" if published and ours <= published.mse else "no"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
