"""Every benchmark: `make bench`, or `python -m benchmarks --help`."""

import sys
from pathlib import Path
from typing import Literal

import torch
from cyclopts import App

from benchmarks import audit, defenses, federation, gradients, growth, matching, reduction
from benchmarks.document import (
    GROWTH_HEADER,
    LINE_HEADER,
    STAGE_HEADER,
    Results,
    growth_rows,
    line_rows,
    stage_rows,
)
from benchmarks.timing import Clock, print_table

Name = Literal["gradients", "reduction", "audit", "matching", "federation", "defenses", "growth", "stages"]
_RACES = {
    "gradients": gradients,
    "reduction": reduction,
    "audit": audit,
    "matching": matching,
    "federation": federation,
    "defenses": defenses,
}

app = App(name="benchmarks", help="Measure what is promised to be fast, beside its rivals.")


@app.default
def main(
    *,
    only: tuple[Name, ...] = (),
    quick: bool = False,
    out: Path | None = None,
    threads: int | None = None,
    clock: Literal["wall", "cpu"] = "wall",
    repeats: int = 5,
) -> Results:
    """Print one table, and write it where it belongs.

    Args:
        only: These parts alone; nothing is written then, unless you say where.
        quick: Tiny sizes, to see that everything runs; their figures mean nothing.
        out: The folder of benchmarks.md and benchmarks.json; docs, unless the run is partial or quick.
        threads: Of torch; none for as many as it takes by itself.
        clock: Wall time; or the processor time of this process, for a machine that others use, with one thread.
        repeats: Timed calls of each rival.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    timer = Clock(repeats=1 if quick else repeats, cpu=clock == "cpu")
    wanted = only or (*_RACES, "growth", "stages")
    lines = []
    for name in wanted:
        if name in _RACES:
            print(f"{name} ...", file=sys.stderr, flush=True)
            lines += _RACES[name].lines(timer, quick=quick)
    few = Clock(repeats=1 if quick else 3, cpu=clock == "cpu")
    growths = growth.growths(few, quick=quick) if "growth" in wanted else []
    stages = audit.stages(quick=quick) if "stages" in wanted else []
    results = Results(lines, growths, stages, torch.get_num_threads(), timer.repeats, clock)
    print_table("Ours beside rivals", LINE_HEADER, line_rows(lines))
    print_table("How the times grow", GROWTH_HEADER, growth_rows(growths))
    print_table("Where the time of an audit goes", STAGE_HEADER, stage_rows(stages))
    folder = out or (None if quick or only else Path("docs"))
    if folder is not None:
        results.write(folder)
    return results


if __name__ == "__main__":
    app()
