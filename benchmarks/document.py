"""The measured figures as a page of the documentation and as JSON."""

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

prints the table and writes this page and `benchmarks.json` beside it. Each line is one rival of ours: both did the same
work in the same process, in turns, and the figure of each is the median of {repeats}. The ratio tells how many times as
fast as the rival we are, and the last column what is promised of it. With `PALIMPSEST_DATA_DIR` set, federation and
matching are timed on CIFAR-10 and MNIST, else on noise of the same size.

{machine}.

{lines}

A promise that was not kept stands beside its figure all the same. Nothing that computes a gradient for each sample does
less than the ordinary batched backward pass, which sums them: where that pass is itself less than eight times as fast
as a loop, or less than 1.4 times as fast as `vmap`, no other way can be so either.

Opacus has no batch normalization: it computes the gradients of ResNet20 with group normalization in its place, and ours
beside it are of the same model. A rival of the reduction that captures over 0.1 % less variance has no line. A defense
that draws random numbers has no promise beside a copy: the numbers alone take longer.

What the auditor does before training, in the whole cell of the table, is measured by `python -m benchmarks --only
whole-cell`, which takes half an hour more. Compiling the search of the matching with `torch.compile` took 35 to 67
seconds and made its steps 1.3 times as fast, which few searches are long enough to earn back: it is not used.

The shares of a matrix product's rate count the multiplications and additions of products alone; the seconds are of all
that is done. The product is of 2,048 x 2,048 numbers, in the faster of torch's two libraries.

## How the times grow

The exponent of the power that fits the seconds best: 1 is in proportion, 2 four times as long for twice as much.

{growths}

![Seconds over sizes, both on logarithmic axes, with the power that fits](benchmarks.svg)

## Where the time of an audit goes

Every stage of the audit in the first table, from data to scores, beside the straightforward audit's: the same models,
queries and inversion network, but a backward pass for each sample and LAPACK's decomposition of all vectors. It is a
tenth of the preset `cifar10-convnet-retrain-sample` (4,000 clients' images, 800 auxiliary ones, 100 forgotten samples,
no perceptual distance), or the preset `digits` where the data are not at hand. The seconds are wall time.

{stages}
"""


@dataclass(frozen=True)
class Results:
    """Everything that was measured.

    Args:
        lines: Ours beside rivals.
        growths: Seconds by size.
        stages: Of an audit, beside a straightforward one.
        threads: Of the process.
        repeats: Timed calls of each.
        clock: Which time was measured.
    """

    lines: list[Line]
    growths: list[Growth]
    stages: list[Stage]
    threads: int
    repeats: int
    clock: str

    def write(self, folder: Path) -> None:
        """Write `benchmarks.md` and `benchmarks.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.growths:
            draw(self.growths, folder / "benchmarks.svg")
        page = PAGE.format(
            repeats=self.repeats,
            machine=self._machine(),
            lines=markdown(LINE_HEADER, line_rows(self.lines)),
            growths=markdown(GROWTH_HEADER, growth_rows(self.growths)),
            stages=markdown(STAGE_HEADER, stage_rows(self.stages)),
        )
        (folder / "benchmarks.md").write_text(page, encoding="utf-8")
        tree = {
            "machine": self._machine(),
            "threads": self.threads,
            "repeats": self.repeats,
            "clock": self.clock,
            "lines": [{**asdict(line), "ratio": line.ratio} for line in self.lines],
            "growths": [{**asdict(growth), "exponent": growth.exponent} for growth in self.growths],
            "stages": [asdict(stage) for stage in self.stages],
        }
        (folder / "benchmarks.json").write_text(json.dumps(tree, indent=1) + "\n", encoding="utf-8")

    def _machine(self) -> str:
        wide = torch.backends.cpu.get_cpu_capability()
        clock = "processor time, others being at work on the machine" if self.clock == "cpu" else "wall time"
        return f"Measured on {self.threads} of the cores of {_processor()} ({wide}), torch {torch.__version__}, {clock}"


LINE_HEADER = ["task", "unit", "ours", "rival", "theirs", "ratio", "promised"]
GROWTH_HEADER = ["task", "grows", "sizes", "seconds", "exponent"]
STAGE_HEADER = ["stage", "ours", "share", "straightforward", "peak MiB"]


def line_rows(lines: Sequence[Line]) -> list[list[object]]:
    """The lines as rows of a table."""
    return [
        [
            line.task,
            line.unit,
            line.ours,
            line.rival,
            line.theirs,
            f"{line.ratio:.2f}",
            "" if line.at_least is None else f"{line.at_least:.2g}",
        ]
        for line in lines
    ]


def growth_rows(growths: Sequence[Growth]) -> list[list[object]]:
    """The growths as rows of a table."""
    return [
        [
            one.task,
            one.size,
            " ".join(map(str, one.sizes)),
            " ".join(map(cell, one.seconds)),
            f"{one.exponent:.2f}",
        ]
        for one in growths
    ]


def stage_rows(stages: Sequence[Stage]) -> list[list[object]]:
    """The stages as rows of a table, with each one's share of the whole."""
    whole = sum(stage.ours for stage in stages)
    return [
        [stage.name, stage.ours, f"{stage.ours / whole:.0%}", stage.theirs, f"{stage.peak_mib:.0f}"]
        for stage in stages
    ]


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of Markdown."""
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
