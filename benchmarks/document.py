"""Results of the benchmarks as a page of the documentation and as JSON."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.cell import Stage
from benchmarks.growth import Growth, draw
from benchmarks.timing import Line, cell

PAGE = """# Benchmarks

    make bench

prints the tables and writes this page and `benchmarks.json`. Each row compares Palimpsest with one baseline: both did
the same work in the same process, in turns, and each value is the median of {repeats} calls. A ratio above 1 means
that Palimpsest is better, and the last column is the target for the ratio. With `PALIMPSEST_DATA_DIR` set, federation
and matching are timed on CIFAR-10 and MNIST, otherwise on noise of the same size.

{machine}.

{lines}

The table also shows targets that were missed. No computation of per-sample gradients does less work than the ordinary
batched backward pass, which sums them. If that pass is itself less than eight times as fast as a backward pass per
sample, or less than 1.4 times as fast as `vmap`, the targets against these baselines can't be reached.

Opacus does not support batch normalization, so both sides compute the gradients of ResNet20 with group normalization.
Baselines of the reduction that capture over 0.1 % less variance are left out. Defenses that draw random numbers have
no target, because drawing the numbers alone takes longer than a copy.

`python -m benchmarks --only whole-cell` measures the auditor's work before training in the whole cell, which takes
another half hour. Compiling the search of gradient matching with `torch.compile` took 35 to 67 seconds and made its
steps 1.3 times as fast. Few searches are long enough to make up for that, so it is not used.

Rates in GFLOP/s count the multiplications and additions of matrix products only, while the time includes everything.
The matrix product has 2,048 x 2,048 entries and uses the faster of torch's two libraries.

## Growth of time with size

The exponent is that of the power law that fits the times best: 1 means proportional, 2 means four times as long for
twice the size.

{growths}

![Seconds over size on logarithmic axes, with the fitted power law](benchmarks.svg)

## Time of an audit by stage

The stages of the audit in the first table, from data to scores, next to the baseline audit's. The baseline has the
same models, queries and inversion network, but runs a backward pass for each sample and LAPACK's SVD of all vectors.
The audit is a tenth of the preset `cifar10-convnet-retrain-sample` (4,000 images of clients, 800 auxiliary images,
100 forgotten samples, no perceptual distance), or the preset `digits` if the data are missing. The times are wall
time.

{stages}
"""


@dataclass(frozen=True)
class Results:
    """All measured results.

    Args:
        lines: Comparisons with baselines.
        growths: Times by size.
        stages: Stages of an audit, next to those of the baseline audit.
        threads: Number of torch threads.
        repeats: Number of timed calls of each candidate.
        clock: Kind of time that was measured: `wall` or `cpu`.
    """

    lines: list[Line]
    growths: list[Growth]
    stages: list[Stage]
    threads: int
    repeats: int
    clock: str

    def write(self, folder: Path) -> None:
        """Write `benchmarks.md`, `benchmarks.json` and, if there are growths, `benchmarks.svg`."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.growths:
            draw(self.growths, folder / "benchmarks.svg")
        page = PAGE.format(
            repeats=self.repeats,
            machine=self.machine,
            lines=markdown(LINE_HEADER, line_rows(self.lines)),
            growths=markdown(GROWTH_HEADER, growth_rows(self.growths)),
            stages=markdown(STAGE_HEADER, stage_rows(self.stages)),
        )
        (folder / "benchmarks.md").write_text(page, encoding="utf-8")
        tree = {
            "machine": self.machine,
            "threads": self.threads,
            "repeats": self.repeats,
            "clock": self.clock,
            "lines": [{**asdict(line), "ratio": line.ratio} for line in self.lines],
            "growths": [{**asdict(growth), "exponent": growth.exponent} for growth in self.growths],
            "stages": [asdict(stage) for stage in self.stages],
        }
        (folder / "benchmarks.json").write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")

    @property
    def machine(self) -> str:
        """The machine and the clock, in words."""
        capability = torch.backends.cpu.get_cpu_capability()
        clock = "processor time on a shared machine" if self.clock == "cpu" else "wall time"
        return f"Measured on {self.threads} cores of {_processor()} ({capability}), torch {torch.__version__}, {clock}"


LINE_HEADER = ["task", "unit", "ours", "baseline", "its value", "ratio", "target"]
GROWTH_HEADER = ["task", "size", "sizes", "seconds", "exponent"]
STAGE_HEADER = ["stage", "ours", "share", "baseline", "peak MiB"]


def line_rows(lines: Sequence[Line]) -> list[list[object]]:
    """Return the lines as rows of a table."""
    return [
        [
            line.task,
            line.unit,
            line.ours,
            line.baseline,
            line.baseline_value,
            f"{line.ratio:.2f}",
            "" if line.target is None else f"{line.target:.2g}",
        ]
        for line in lines
    ]


def growth_rows(growths: Sequence[Growth]) -> list[list[object]]:
    """Return the growths as rows of a table."""
    return [
        [
            growth.task,
            growth.size,
            " ".join(map(str, growth.sizes)),
            " ".join(map(cell, growth.seconds)),
            f"{growth.exponent:.2f}",
        ]
        for growth in growths
    ]


def stage_rows(stages: Sequence[Stage]) -> list[list[object]]:
    """Return the stages as rows of a table, with the share of each in the total time."""
    whole = sum(stage.ours for stage in stages)
    return [
        [stage.name, stage.ours, f"{stage.ours / whole:.0%}", stage.baseline, f"{stage.peak_mib:.0f}"]
        for stage in stages
    ]


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format a table as Markdown."""
    table = [header, ["---"] * len(header), *([cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(row) + " |" for row in table)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return "an " + line.partition(":")[2].strip()
    except OSError:
        pass
    return "a " + (platform.processor() or platform.machine())
