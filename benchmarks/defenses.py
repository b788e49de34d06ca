"""What defending proofs costs, beside a copy of the memory they occupy.

A copy is `torch.clone`: one read and one write of the proofs, into new memory, as every defense writes its result. What
draws random numbers can't be faster than drawing them, which is measured by itself.
"""

from functools import partial

import torch

from benchmarks.timing import Clock, Line, Work, lines_of
from palimpsest.defenses import fill_normal
from palimpsest.randomness import make_generator
from palimpsest.registry import DEFENSES

RESNET20 = 269_722
# A copy and a half to spare: three times as long.
DETERMINISTIC = ("norm-only", "project", "prune", "sign", "smooth")


def lines(clock: Clock, *, quick: bool) -> list[Line]:
    """Each defense beside a copy."""
    count, dimension = (4, 2000) if quick else (100, RESNET20)
    proofs = torch.randn(count, dimension, generator=make_generator(0)) * 1e-2
    generator, row = make_generator(1), torch.empty(dimension)
    tasks: dict[str, Work] = {
        "a normal number each": lambda: [fill_normal(row, generator) for _ in range(count)]
    }
    for name, component in DEFENSES:
        tasks[name] = partial(component(), proofs, generator=generator)
    result = []
    for name, work in tasks.items():
        seconds = clock.race({"ours": work, "torch.clone": proofs.clone})
        promised = {"torch.clone": 1 / 3} if name in DETERMINISTIC else {}
        result += lines_of(f"defense of {count} proofs, {name}", seconds, at_least=promised)
    return result
