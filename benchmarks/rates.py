"""Rate of matrix products on this machine, the baseline of computations that consist of them."""

from functools import partial

import torch

from benchmarks.timing import Clock, Line
from palimpsest.reduction.matmul import matmul_transposed

TARGET = 0.5


def share(task: str, operations: float, seconds: float, clock: Clock, *, quick: bool) -> Line:
    """Compare a computation's rate with that of a large matrix product.

    Args:
        task: Name of the computation.
        operations: Number of its multiplications and additions in matrix products.
        seconds: Its time in seconds, including everything else that it does.
        clock: Clock to measure the matrix product with.
        quick: Use a small matrix product.
    """
    rate = product_rate(clock, 256 if quick else 2048)
    return Line(task, "GFLOP/s", operations / seconds / 1e9, "matrix product", rate, TARGET)


def product_rate(clock: Clock, size: int) -> float:
    """Measure the GFLOP/s of a product of square float32 matrices with the faster of torch's libraries."""
    rows = torch.randn(size, size, generator=torch.Generator().manual_seed(0))
    seconds = clock.race(
        {"MKL": partial(torch.mm, rows, rows.T), "oneDNN": partial(matmul_transposed, rows, rows)}
    )
    return 2 * size**3 / min(seconds.values()) / 1e9
