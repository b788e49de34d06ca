"""Benchmark of the defenses against a copy of the proofs.

A copy is `torch.clone`: one read of the proofs and one write into new memory, which every defense needs. A defense that
draws random numbers can't be faster than drawing them, which is measured separately.
"""

from functools import partial

import torch

from benchmarks.timing import Clock, Line, Work, lines_of
from palimpsest.defenses import fill_normal
from palimpsest.randomness import make_generator
from palimpsest.registry import DEFENSES

RESNET20 = 269_722
# The target of these is at most three times the time of a copy.
DETERMINISTIC = ("norm-only", "project", "prune", "sign", "smooth")


def lines(clock: Clock, *, quick: bool) -> list[Line]:
    """Measure each defense against a copy.

    Args:
        clock: Clock to measure with.
        quick: Use tiny sizes.
    """
    count, dimension = (4, 2000) if quick else (100, RESNET20)
    proofs = torch.randn(count, dimension, generator=make_generator(0)) * 1e-2
    generator, row = make_generator(1), torch.empty(dimension)
    tasks: dict[str, Work] = {
        "drawing normal numbers": lambda: [fill_normal(row, generator) for _ in range(count)]
    }
    for name, component in DEFENSES:
        tasks[name] = partial(component(), proofs, generator=generator)
    result = []
    for name, work in tasks.items():
        seconds = clock.race({"ours": work, "torch.clone": proofs.clone})
        targets = {"torch.clone": 1 / 3} if name in DETERMINISTIC else {}
        result += lines_of(f"defense of {count} proofs, {name}", seconds, targets=targets)
    return result
