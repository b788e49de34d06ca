"""Rivals that do the same work are timed in turns, and each is told as a ratio to ours."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

Work = Callable[[], object]
LESS_IS_BETTER = ("seconds", "MiB", "relative error")
"""Units of figures that a rival is beaten in by less; of all others by more."""


@dataclass(frozen=True)
class Line:
    """One rival of one task.

    Args:
        task: What was done.
        unit: Of the two figures: one of `LESS_IS_BETTER`, or something a second.
        ours: Our figure, the median.
        rival: Who else did it.
        theirs: The rival's figure, the median, measured in turns with ours.
        at_least: The ratio that is promised; none where none is.
    """

    task: str
    unit: str
    ours: float
    rival: str
    theirs: float
    at_least: float | None = None

    @property
    def ratio(self) -> float:
        """How many times as good as the rival we are."""
        return self.theirs / self.ours if self.unit in LESS_IS_BETTER else self.ours / self.theirs


class Clock:
    """What time is measured with.

    Args:
        repeats: Timed calls of each rival; the median counts.
        cpu: Count the processor time of this process instead of the time that passes: the only clock that means
            anything while others use the machine, and then on one thread alone.
    """

    def __init__(self, *, repeats: int = 7, cpu: bool = False) -> None:
        self.repeats = repeats
        self._now = time.process_time if cpu else time.perf_counter

    def seconds(self, work: Work) -> float:
        """The seconds of one call."""
        start = self._now()
        work()
        return self._now() - start

    def race(self, rivals: Mapping[str, Work]) -> dict[str, float]:
        """The median seconds of each, called in turns, after a first call each that is not counted."""
        for work in rivals.values():
            work()
        times: dict[str, list[float]] = {name: [] for name in rivals}
        for _ in range(self.repeats):
            for name, work in rivals.items():
                times[name].append(self.seconds(work))
        return {name: statistics.median(few) for name, few in times.items()}

    def once(self, rivals: Mapping[str, Work]) -> dict[str, float]:
        """The seconds of a single call of each: of work so long that preparations and chance are a small part."""
        return {name: self.seconds(work) for name, work in rivals.items()}


def lines_of(
    task: str,
    seconds: Mapping[str, float],
    *,
    count: float | None = None,
    unit: str = "seconds",
    at_least: Mapping[str, float] | None = None,
) -> list[Line]:
    """A line for each rival of `ours`, the first of those that raced.

    Args:
        task: What was done.
        seconds: The result of a race.
        count: How much was done, for figures a second; none for seconds.
        unit: Of the figures.
        at_least: The ratios that are promised, by the rival's name.
    """
    figures = {name: one if count is None else count / one for name, one in seconds.items()}
    (_, ours), *rivals = figures.items()
    promised = at_least or {}
    return [Line(task, unit, ours, name, theirs, promised.get(name)) for name, theirs in rivals]


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows of text and numbers."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*map(cell, row))
    # What is not a terminal would have 80 columns.
    Console(width=max(140, Console().width)).print(table, "")


def cell(value: object) -> str:
    """Text as it is, numbers with three digits."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
