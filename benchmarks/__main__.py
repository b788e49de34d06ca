"""Command line of the benchmarks: `make bench`, or `python -m benchmarks --help`."""

import sys
import time
from pathlib import Path
from typing import Literal

import torch
from cyclopts import App

from benchmarks import (
    bounds,
    cell,
    consistency,
    defenses,
    federation,
    footprints,
    gradients,
    growth,
    matching,
    networks,
    projections,
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
    "bounds",
    "audit",
    "memory",
    "growth",
    "whole-cell",
    "networks",
    "projections",
]
_RACES = {
    "gradients": gradients,
    "reduction": reduction,
    "training": training,
    "consistency": consistency,
    "matching": matching,
    "federation": federation,
    "defenses": defenses,
    "bounds": bounds,
}

app = App(
    name="benchmarks",
    help="Measure speed and memory against baselines.",
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
    """Run the benchmarks, print the tables, and write benchmarks.md, benchmarks.json and benchmarks.svg.

    Args:
        only: Run only these parts, and write files only if --out is given. whole-cell and networks, which take half an
            hour each, run only if they are named here. networks writes reference/networks.md, and
            projections writes reference/projections.md.
        quick: Use tiny sizes to check that everything runs; the results are meaningless.
        out: Folder of the files. If omitted, docs for a full run, and no files for a partial or quick run.
        threads: Number of torch threads. If omitted, torch chooses.
        clock: Wall time, or the processor time of this process. Use processor time with one thread on a machine that
            runs other work.
        repeats: Number of timed calls of each candidate; the median counts.
    """
    # The command line calls this at startup, and its speed is what the benchmarks measure.
    keep_freed_memory()
    if threads is not None:
        torch.set_num_threads(threads)
    folder = out or (None if quick or only else Path("docs"))
    timer = Clock(repeats=1 if quick else repeats, cpu=clock == "cpu")
    lines, stages, growths = list[Line](), list[cell.Stage](), list[growth.Growth]()
    results = Results(lines, growths, stages, torch.get_num_threads(), timer.repeats, clock)
    for name in only or (*_RACES, "audit", "memory", "growth", "projections"):
        start = time.perf_counter()
        if name == "audit":
            audit_lines, stages = cell.measure(quick=quick)
            lines += audit_lines
        elif name == "memory":
            lines += footprints.lines(quick=quick)
        elif name == "whole-cell":
            lines += cell.whole_cell(timer, quick=quick)
        elif name == "networks":
            networks.run(timer, quick=quick, folder=folder, machine=results.machine)
            continue
        elif name == "projections":
            projections.run(timer, quick=quick, folder=folder, machine=results.machine)
            continue
        elif name == "growth":
            growths = growth.growths(timer, quick=quick)
        else:
            lines += _RACES[name].lines(timer, quick=quick)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        results = Results(lines, growths, stages, torch.get_num_threads(), timer.repeats, clock)
        # Write after every part, so that finished results can be read while the rest is measured.
        if folder is not None:
            results.write(folder)
    print_table("Palimpsest against baselines", LINE_HEADER, line_rows(lines))
    print_table("Growth of time with size", GROWTH_HEADER, growth_rows(growths))
    print_table("Time of an audit by stage", STAGE_HEADER, stage_rows(stages))
    return results


if __name__ == "__main__":
    app()
