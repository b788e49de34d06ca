"""Benchmark of the refinement against the proofs: the fastest number format against float32."""

from functools import partial

import torch

from benchmarks.timing import Clock, Line, lines_of
from palimpsest.attacks.learned.precision import Precision
from palimpsest.attacks.learned.refinement import Refinement
from palimpsest.attacks.learned.surrogate import Surrogate, usual_widths
from palimpsest.reduction import fit_projection

SHAPE, MAPS = (3, 32, 32), (128, 4, 4)


def lines(clock: Clock, *, quick: bool) -> list[Line]:
    """Measure steps of igf-plus's refinement on CIFAR-10, with networks of the ConvNet's size.

    Args:
        clock: Clock to measure with.
        quick: Use tiny sizes.
    """
    count, steps, directions, width = (4, 1, 8, 8) if quick else (128, 10, 512, 32)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(count, *SHAPE, generator=generator)
    widths = usual_widths(SHAPE, MAPS, width)
    surrogate = Surrogate(SHAPE, MAPS, widths)
    errors = fit_projection(
        torch.randn(2 * directions, images[0].numel(), generator=generator) / 10,
        explained_variance=1.0,
        components=directions,
        generator=generator,
    )
    refinement = Refinement(
        surrogate=surrogate.state_dict(),
        widths=widths,
        errors=errors,
        count=2 * directions,
        scale=1.0,
        largest=10.0,
        noise=0.25,
        starts=torch.zeros(1, directions),
    )
    with torch.no_grad():
        inputs = surrogate(images)

    def search(precision: Precision) -> None:
        refinement.refine(surrogate, images, inputs, steps=steps, precision=precision, device="cpu")

    seconds = clock.race({"ours": partial(search, "auto"), "float32": partial(search, "float32")})
    return lines_of(
        f"refinement of {count} images against the proofs",
        seconds,
        count=steps,
        unit="steps/s",
    )
