"""How fast this machine multiplies matrices: the measure of what consists of products."""

from functools import partial

import torch

from benchmarks.timing import Clock, Line
from palimpsest.reduction.matmul import matmul_transposed

PROMISED = 0.5


def share(task: str, operations: float, seconds: float, clock: Clock, *, quick: bool) -> Line:
    """What is computed a second, beside the rate of a large product of matrices.

    Args:
        task: What was done.
        operations: Multiplications and additions that it consists of.
        seconds: How long it took, all else that it does included.
        clock: Measures the product.
        quick: Take a small one.
    """
    rate = product_rate(clock, 256 if quick else 2048)
    return Line(task, "GFLOP/s", operations / seconds / 1e9, "a matrix product", rate, PROMISED)


def product_rate(clock: Clock, size: int) -> float:
    """GFLOP/s of float32 matrices of `size` rows and columns, in the faster of torch's libraries."""
    rows = torch.randn(size, size, generator=torch.Generator().manual_seed(0))
    seconds = clock.race(
        {"MKL": partial(torch.mm, rows, rows.T), "oneDNN": partial(matmul_transposed, rows, rows)}
    )
    return 2 * size**3 / min(seconds.values()) / 1e9
