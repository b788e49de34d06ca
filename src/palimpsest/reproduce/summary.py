"""What a cell's runs say together: means and intervals over seeds."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scipy.stats import t as student

from palimpsest.comparison import Read, score_column
from palimpsest.display import format_number
from palimpsest.metrics import Metrics
from palimpsest.reproduce.published import Published
from palimpsest.reproduce.study import Cell, Column, Study

SCORES = {
    "mse": ("MSE", ".4f"),
    "psnr": ("PSNR", ".2f"),
    "ssim": ("SSIM", ".3f"),
    "lpips": ("LPIPS", ".3f"),
    "identification_top1": ("top 1", ".1%"),
}
"""The scores of a table, with their headings and formats."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Args:
        mean: The mean.
        low: Lower end of its 95 % interval: over the seeds, or where there is one, over its images; none where that is
            not known.
        high: Upper end.
    """

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Summary:
    """A cell's results.

    Args:
        cell: Which one.
        seeds: The seeds that were run to the end.
        scores: An estimate by the score's name; a score that can't be had is absent.
        columns: An estimate by the heading of each of the study's columns; absent alike.
        facts: What the attack told, of the first seed.
        forgotten: Images that were reconstructed.
        seconds: What an audit took, all stages, mean over the seeds.
        failure: Why a seed is missing.
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
    """Put a cell's runs together.

    Args:
        cell: The cell.
        metrics: Each run's metrics, by seed.
        failure: Why a seed's run, the last one that failed, did not end.
        columns: The study's.
    """
    runs = list(metrics.values())
    if not runs:
        return Summary(cell, (), {}, {}, {}, 0, 0.0, failure)
    first = runs[0]
    assert first.reconstruction is not None, "an audit knows its forgotten samples"
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
            {column.heading for column in columns if column.form.endswith("%")},
        ),
        facts=first.attack,
        forgotten=first.reconstruction.count,
        seconds=sum(sum(run.seconds.values()) for run in runs) / len(runs),
        failure=failure,
    )


def _estimates(
    runs: Sequence[Metrics], columns: Mapping[str, Read], shares: Collection[str]
) -> dict[str, Estimate]:
    """An estimate of every number that all runs have."""
    estimates = {}
    for name, read in columns.items():
        readings = [reading for run in runs if (reading := read(run)) is not None]
        if len(readings) < len(runs):
            continue
        estimates[name] = estimate([reading.value for reading in readings])
        if name in shares:
            estimates[name] = _within(estimates[name])
        if len(runs) == 1 and readings[0].interval is not None:
            estimates[name] = Estimate(readings[0].value, *readings[0].interval)
    return estimates


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of some runs' scores and its 95 % interval by Student's t."""
    count = len(values)
    mean = sum(values) / count
    if count < 2:
        return Estimate(mean, None, None)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1) / count)
    half = float(student.ppf(0.975, count - 1)) * spread
    return Estimate(mean, mean - half, mean + half)


def _within(share: Estimate) -> Estimate:
    """Student's t knows nothing of the ends that a share has."""
    if share.low is None or share.high is None:
        return share
    return Estimate(share.mean, max(0.0, share.low), min(1.0, share.high))


def markdown(study: Study, summaries: Sequence[Summary], command: str) -> str:
    """The table as Markdown, the paper's figures beside ours."""
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
        f"{summary.cell.name} lacks a seed: {summary.failure}"
        for summary in summaries
        if summary.seeds and summary.failure
    ]
    if len(seeds) > 1:
        notes.append("Means over the seeds, and their 95 % intervals by Student's t.")
    elif seeds:
        notes.append("Intervals: 95 %, by bootstrap over the images of the one run.")
    if seeds:
        notes.append("By chance top 1 is one in the number of images.")
    if paper:
        notes.append("The paper's LPIPS is of another trunk and other inputs, and not on the scale of ours.")
    if study.conclude and seeds:
        notes = [*study.conclude([summary for summary in summaries if summary.seeds]), "", *notes]
    return "\n".join([*lines, "", *notes, *study.notes, ""])


def as_json(study: Study, summaries: Sequence[Summary]) -> dict[str, Any]:
    """The table as plain values."""
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
        # A row of its own: no line break, and no bar that would end the column.
        return [*row, " ".join(summary.failure.split()).replace("|", r"\|")]
    if paper:
        row += [_printed(published), _reached(summary)] if published else ["", ""]
    if sizes:
        row += [f"{cell.size:,}" if cell.size else "", f"{summary.facts['features']:,.0f}"]
    row += [_number(summary.scores.get(score), form) for score, (_, form) in SCORES.items()]
    row += [_number(summary.columns.get(column.heading), column.form) for column in study.columns]
    return [*row, f"{summary.forgotten:,}", f"{summary.seconds:,.0f}"]


def _printed(published: Published) -> str:
    return f"{published.mse:.4f}, {published.psnr:.2f}, {published.lpips:.3f}"


def _reached(summary: Summary) -> str:
    """Whether our mean error is at most the paper's."""
    published, ours = summary.cell.published, summary.scores["mse"].mean
    return "yes" if published and ours <= published.mse else "no"


def _number(value: Estimate | None, form: str) -> str:
    if value is None:
        return "absent"
    if value.low is None or value.high is None:
        return format_number(value.mean, form)
    return f"{format_number(value.mean, form)} ({format_number(value.low, form)} to {format_number(value.high, form)})"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
