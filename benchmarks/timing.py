"""Timing of Palimpsest and of baselines that do the same work, in turns."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

Work = Callable[[], object]
LESS_IS_BETTER = ("seconds", "MiB", "relative error")
"""Units in which lower values are better; in all others, higher values are."""


@dataclass(frozen=True)
class Line:
    """Comparison of one task with one baseline.

    Args:
        task: Name of the task.
        unit: Unit of the two values: one of `LESS_IS_BETTER`, or a rate.
        ours: Median value of Palimpsest.
        baseline: Name of the baseline.
        baseline_value: Median value of the baseline, measured in turns with ours.
        target: Ratio to reach; None means that the task has no target.
    """

    task: str
    unit: str
    ours: float
    baseline: str
    baseline_value: float
    target: float | None = None

    @property
    def ratio(self) -> float:
        """Our value relative to the baseline's; above 1 means that ours is better."""
        if self.unit in LESS_IS_BETTER:
            return self.baseline_value / self.ours
        return self.ours / self.baseline_value


class Clock:
    """Clock that times calls.

    Args:
        repeats: Number of timed calls of each candidate; the median counts.
        cpu: Measure the processor time of this process instead of wall time. Only this is meaningful on a machine that
            runs other work, and only with one thread.
    """

    def __init__(self, *, repeats: int = 7, cpu: bool = False) -> None:
        """Choose the clock."""
        self.repeats = repeats
        self._now = time.process_time if cpu else time.perf_counter

    def seconds(self, work: Work) -> float:
        """Return the time of one call, in seconds."""
        start = self._now()
        work()
        return self._now() - start

    def race(self, candidates: Mapping[str, Work]) -> dict[str, float]:
        """Return the median time of each candidate, in seconds; they are called in turns, after a warm-up call each."""
        for work in candidates.values():
            work()
        times: dict[str, list[float]] = {name: [] for name in candidates}
        for _ in range(self.repeats):
            for name, work in candidates.items():
                times[name].append(self.seconds(work))
        return {name: statistics.median(measured) for name, measured in times.items()}

    def once(self, candidates: Mapping[str, Work]) -> dict[str, float]:
        """Return the time of a single call of each candidate, in seconds; use it for calls that take minutes."""
        return {name: self.seconds(work) for name, work in candidates.items()}


def lines_of(
    task: str,
    seconds: Mapping[str, float],
    *,
    count: float | None = None,
    unit: str = "seconds",
    targets: Mapping[str, float] | None = None,
) -> list[Line]:
    """Make a line for each baseline of a race.

    Args:
        task: Name of the task.
        seconds: The result of a race; its first item is ours.
        count: Amount of work, which turns times into rates. If omitted, the values are times.
        unit: Unit of the values.
        targets: Ratio to reach, by the baseline's name; if omitted, there are no targets.
    """
    values = {name: time if count is None else count / time for name, time in seconds.items()}
    (_, ours), *baselines = values.items()
    targets = targets or {}
    return [Line(task, unit, ours, name, value, targets.get(name)) for name, value in baselines]


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows of text and numbers."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*map(cell, row))
    # rich assumes 80 columns if the output is not a terminal.
    Console(width=max(140, Console().width)).print(table, "")


def cell(value: object) -> str:
    """Format a value: numbers with three digits, anything else as text."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
