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
    ends = _tails(confidence)
    return _resampled_means(values, resamples, generator).quantile(ends, dim=0).T.contiguous()


def bootstrap_difference(
    first: Tensor, second: Tensor, *, resamples: int, generator: Generator, confidence: float = 0.95
) -> tuple[float, float]:
    """Compute the percentile bootstrap interval of the difference of two means over different, unpaired images.

    Args:
        first: Scores of the first images, `[n]`.
        second: Scores of the second images, `[m]`.
        resamples: Number of bootstrap resamples; each draws both sets anew.
        generator: Source of the random draws.
        confidence: Share of the resampled differences inside the interval, in (0, 1).

    Returns:
        Lower and upper bound of the mean of `first` minus the mean of `second`.
    """
    means = (_resampled_means(values[:, None], resamples, generator) for values in (first, second))
    minuend, subtrahend = (mean.flatten() for mean in means)
    low, high = (minuend - subtrahend).quantile(_tails(confidence)).tolist()
    return low, high


def _tails(confidence: float) -> Tensor:
    tail = (1 - confidence) / 2
    return torch.tensor([tail, 1 - tail], dtype=torch.float64)


def _resampled_means(values: Tensor, resamples: int, generator: Generator) -> Tensor:
    """Return the means `[resamples, k]` float64 of rows drawn with replacement from `[n, k]`."""
    count = len(values)
    values = values.double()
    means = []
    for size in _block_sizes(resamples, max(1, _BLOCK // count)):
        draws = torch.randint(count, (size, count), generator=generator)
        times_drawn = torch.zeros(size, count, dtype=torch.float64)
        times_drawn.scatter_add_(1, draws, torch.ones((), dtype=torch.float64).expand(size, count))
        means.append(times_drawn @ values / count)
    return torch.cat(means)


def _block_sizes(total: int, largest: int) -> list[int]:
    return [min(largest, total - first) for first in range(0, total, largest)]
