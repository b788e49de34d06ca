"""Separation of forged proofs from honest ones by a verifier."""

import torch
from torch import Generator, Tensor


def separation(
    honest: Tensor, forged: Tensor, *, bootstrap: int, generator: Generator
) -> tuple[float, float, float]:
    """Compute the area under a verifier's ROC curve and its 95 % percentile bootstrap interval.

    The area is the probability that a forged proof is more suspicious than an honest one; a tie counts half. 0.5 is
    chance, and below it forged proofs look better than honest ones.

    Args:
        honest: Suspicion scores of honest proofs, `[n]`; infinity is allowed.
        forged: Suspicion scores of forged proofs, `[m]`.
        bootstrap: Number of bootstrap resamples.
        generator: Source of the resamples.

    Returns:
        Area, and the lower and upper ends of its interval.
    """
    from scipy.stats import rankdata

    # Only the order of the scores matters, and ranks turn infinities into ordinary numbers.
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
