"""Bootstrap confidence intervals of means over images."""

import torch
from torch import Generator, Tensor

_BLOCK = 2**22


def bootstrap_intervals(
    values: Tensor, *, resamples: int, generator: Generator, confidence: float = 0.95
) -> Tensor:
    """Compute percentile bootstrap intervals of the means of several scores over the same images.

    Images are drawn with replacement, and all scores share each draw. The intervals describe how the mean would vary
    with other forgotten images; they do not cover the variation between training runs.

    Args:
        values: Scores, `[n, k]`: one row for each image, one column for each score.
        resamples: Number of bootstrap resamples.
        generator: Source of the random draws.
        confidence: Share of the resampled means inside the interval, in (0, 1).

    Returns:
        Lower and upper bounds, `[k, 2]` float64.
    """
    count = len(values)
    values = values.double()
    means = []
    for size in _block_sizes(resamples, max(1, _BLOCK // count)):
        draws = torch.randint(count, (size, count), generator=generator)
        times_drawn = torch.zeros(size, count, dtype=torch.float64)
        times_drawn.scatter_add_(1, draws, torch.ones((), dtype=torch.float64).expand(size, count))
        means.append(times_drawn @ values / count)
    tail = (1 - confidence) / 2
    ends = torch.tensor([tail, 1 - tail], dtype=torch.float64)
    return torch.cat(means).quantile(ends, dim=0).T.contiguous()


def _block_sizes(total: int, largest: int) -> list[int]:
    return [min(largest, total - first) for first in range(0, total, largest)]
