"""What defending proofs costs, beside a copy of the memory they occupy.

    python benchmarks/defenses.py                  # 1,000 proofs of a ResNet20: 3.2 GB in all
    python benchmarks/defenses.py --proofs 200

A ratio of 1 is the time of `torch.clone`: one read and one write of the proofs, into new memory, as
every defence writes its result. Most of that is the system's work of finding the memory: `copy_` is the
same without it. Random numbers are measured by themselves, for what draws d of them a proof cannot be
faster: `fill` writes them over and over into one row, as the defences do; `torch.randn` writes into new
memory.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from palimpsest.defenses import fill_normal
from palimpsest.randomness import make_generator
from palimpsest.registry import DEFENSES

RESNET20 = 269_722


def seconds(run: Callable[[], object], repeats: int) -> list[float]:
    run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--proofs", type=int, default=1000, help="how many proofs")
    parser.add_argument("--dimension", type=int, default=RESNET20, help="coordinates of each")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs; the fastest counts")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    proofs = torch.randn(arguments.proofs, arguments.dimension, generator=make_generator(0)) * 1e-2
    generator = make_generator(1)
    row, copy = torch.empty(arguments.dimension), torch.zeros_like(proofs)
    tasks: dict[str, Callable[[], object]] = {
        "torch.clone": proofs.clone,
        "copy_": partial(copy.copy_, proofs),
        "torch.randn": lambda: torch.randn(proofs.shape, generator=generator),
        "fill": lambda: [fill_normal(row, generator) for _ in range(len(proofs))],
    }
    for name, component in DEFENSES:
        tasks[name] = partial(component(), proofs, generator=generator)
    print(f"{arguments.proofs} proofs of {arguments.dimension:,} float32, 1 thread, processor time")
    print(f"{'':26}{'fastest s':>10}{'median s':>10}{'x clone':>9}")
    clone = 0.0
    for name, run in tasks.items():
        times = seconds(run, arguments.repeats)
        clone = clone or min(times)
        print(
            f"{name:26}{min(times):10.3f}{statistics.median(times):10.3f}{min(times) / clone:9.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
