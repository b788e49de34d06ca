"""How well a check tells forged proofs from honest ones."""

import torch
from scipy.stats import rankdata
from torch import Generator, Tensor


def separation(
    honest: Tensor, forged: Tensor, *, bootstrap: int, generator: Generator
) -> tuple[float, float, float]:
    """The area under the ROC curve of a check, and its 95 % percentile bootstrap interval.

    Args:
        honest: Suspicions of honest proofs, `[n]`.
        forged: Suspicions of forged ones, `[m]`.
        bootstrap: Resamples behind the interval.
        generator: Where they come from.

    Returns:
        Area, low and high: the chance that a forged proof looks the more suspicious; 0.5 is a coin, below it a forged
        proof looks better than an honest one. A tie counts half.
    """
    # Ranks keep what is compared, and infinities are ranks as well.
    ranks = torch.from_numpy(rankdata(torch.cat([honest, forged]).double().numpy()))
    honest, forged = ranks[: len(honest)], ranks[len(honest) :]
    areas = torch.stack(
        [_area(_resample(honest, generator), _resample(forged, generator)) for _ in range(bootstrap)]
    )
    ends = areas.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return float(_area(honest, forged)), float(ends[0]), float(ends[1])


def _area(honest: Tensor, forged: Tensor) -> Tensor:
    ordered = honest.sort().values
    below = torch.searchsorted(ordered, forged)
    up_to = torch.searchsorted(ordered, forged, right=True)
    return (below + up_to).double().mean() / (2 * len(honest))


def _resample(values: Tensor, generator: Generator) -> Tensor:
    return values[torch.randint(len(values), (len(values),), generator=generator)]
