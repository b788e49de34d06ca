"""Every benchmark: `make bench`, or `python -m benchmarks --help`."""

import sys
import time
from pathlib import Path
from typing import Literal

import torch
from cyclopts import App

from benchmarks import (
    cell,
    consistency,
    defenses,
    federation,
    footprints,
    gradients,
    growth,
    matching,
    reduction,
    training,
)
from benchmarks.document import (
    GROWTH_HEADER,
    LINE_HEADER,
    STAGE_HEADER,
    Results,
    growth_rows,
    line_rows,
    stage_rows,
)
from benchmarks.timing import Clock, Line, print_table
from palimpsest.system.memory import keep_freed_memory

Name = Literal[
    "gradients",
    "reduction",
    "training",
    "consistency",
    "matching",
    "federation",
    "defenses",
    "audit",
    "memory",
    "growth",
    "whole-cell",
]
_RACES = {
    "gradients": gradients,
    "reduction": reduction,
    "training": training,
    "consistency": consistency,
    "matching": matching,
    "federation": federation,
    "defenses": defenses,
}

app = App(
    name="benchmarks",
    help="Measure what is promised to be fast, beside its rivals.",
    result_action="return_value",
)


@app.default
def main(
    *,
    only: tuple[Name, ...] = (),
    quick: bool = False,
    out: Path | None = None,
    threads: int | None = None,
    clock: Literal["wall", "cpu"] = "wall",
    repeats: int = 3,
) -> Results:
    """Print one table, and write it where it belongs.

    Args:
        only: These parts alone; nothing is written then, unless you say where. whole-cell, which takes half an hour,
            runs only so.
        quick: Tiny sizes, to see that everything runs; their figures mean nothing.
        out: The folder of benchmarks.md, benchmarks.json and benchmarks.svg; docs, unless the run is partial or quick.
        threads: Of torch; none for as many as it takes by itself.
        clock: Wall time; or the processor time of this process, for a machine that others use, with one thread.
        repeats: Timed calls of each rival.
    """
    # As in the command line, whose speed is measured.
    keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
    folder = out or (None if quick or only else Path("docs"))
    timer = Clock(repeats=1 if quick else repeats, cpu=clock == "cpu")
    lines, stages, growths = list[Line](), list[cell.Stage](), list[growth.Growth]()
    for name in only or (*_RACES, "audit", "memory", "growth"):
        start = time.perf_counter()
        if name == "audit":
            more, stages = cell.measure(quick=quick)
            lines += more
        elif name == "memory":
            lines += footprints.lines(quick=quick)
        elif name == "whole-cell":
            lines += cell.whole_cell(timer, quick=quick)
        elif name == "growth":
            growths = growth.growths(timer, quick=quick)
        else:
            lines += _RACES[name].lines(timer, quick=quick)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        results = Results(lines, growths, stages, torch.get_num_threads(), timer.repeats, clock)
        # After every part: what is there already can be read while the rest is measured.
        if folder is not None:
            results.write(folder)
    print_table("Ours beside rivals", LINE_HEADER, line_rows(lines))
    print_table("How the times grow", GROWTH_HEADER, growth_rows(growths))
    print_table("Where the time of an audit goes", STAGE_HEADER, stage_rows(stages))
    return results


if __name__ == "__main__":
    app()
