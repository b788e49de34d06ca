"""Tables of the exposure of each class and each client."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from palimpsest.metrics import binomial_interval
from palimpsest.report.gallery import class_name, sorting_score
from palimpsest.report.inputs import ReportInput
from palimpsest.report.scores import PER_IMAGE, count, format_score, percent
from palimpsest.report.worth import Cell

SMALLEST_GROUP = 5
"""A redacted page shows no group of fewer samples, because its row would describe single samples."""


@dataclass(frozen=True)
class GroupTable:
    """A table with one row for each class or client, the most exposed first.

    Args:
        heading: What the groups are: `Class` or `Client`.
        score: The label of the mean score.
        rows: Name, number of samples, share of identified samples with its interval, and mean score of each group.
        omitted: Number of groups that a redacted page leaves out.
    """

    heading: str
    score: str
    rows: list[tuple[str, str, Cell, str]]
    omitted: int


def group_tables(page: ReportInput, *, redact: bool = False) -> list[GroupTable]:
    """Return a table of the classes and one of the clients, each if there are at least two.

    Args:
        page: The contents of the page.
        redact: Leave out groups that are smaller than `SMALLEST_GROUP`.
    """
    groupings: list[tuple[str, Tensor | None, Callable[[int], str]]] = [
        ("Class", page.labels, lambda label: class_name(page, label)),
        ("Client", page.owners, lambda owner: f"client {owner}"),
    ]
    return [
        _table(page, heading, groups, name, smallest=SMALLEST_GROUP if redact else 1)
        for heading, groups, name in groupings
        if groups is not None and page.identified is not None and len(groups.unique()) > 1
    ]


def _table(
    page: ReportInput, heading: str, groups: Tensor, name: Callable[[int], str], *, smallest: int
) -> GroupTable:
    score, identified = sorting_score(page.per_image), page.identified
    assert identified is not None, "groups are listed only if samples are scored"
    found: list[tuple[float, float, tuple[str, str, Cell, str]]] = []
    omitted = 0
    for group in groups.unique().tolist():
        members = groups == group
        total, right = int(members.sum()), int(identified[members].sum())
        if total < smallest:
            omitted += 1
            continue
        mean = float(page.per_image[score][members].double().mean())
        low, high = binomial_interval(right, total)
        cell = f"{count(right)} ({percent(right / total)})", f"{percent(low)} to {percent(high)}"
        order = mean if PER_IMAGE[score].better == "low" else -mean
        found.append((-right / total, order, (name(group), count(total), cell, format_score(score, mean))))
    found.sort(key=lambda entry: entry[:2])
    return GroupTable(heading, PER_IMAGE[score].label, [row for _, _, row in found], omitted)
