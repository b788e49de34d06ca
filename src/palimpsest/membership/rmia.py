"""Relative membership inference attack: pairwise likelihood ratios against a population (Zarifzadeh et al. 2024)."""

import torch
from torch import Tensor

GAMMA = 2.0
"""Smallest ratio at which a sample dominates a population sample (Zarifzadeh et al. 2024, section 3)."""
OFFLINE_A = 0.3
"""Parameter a of the offline approximation; it depends on the data, and the paper chooses it on a shadow model."""


def rmia(
    target: Tensor,
    shadows: Tensor,
    members: Tensor,
    *,
    population: Tensor,
    population_shadows: Tensor,
    offline: float | None = None,
    gamma: float = GAMMA,
) -> Tensor:
    """Score membership by the share of population samples that a sample's likelihood ratio dominates.

    The ratio of a sample x and a population sample z is (Pr(x | model) / Pr(x)) / (Pr(z | model) / Pr(z)), where Pr(x)
    is the mean probability over models that were trained on x and models that were not, in equal parts. An offline
    attacker has only the latter, and approximates Pr(x) by ((1 + a) Pr(x)_out + (1 - a)) / 2.

    Args:
        target: The tested model's probability of each sample's class, `[n]` in (0, 1].
        shadows: The shadow models' probabilities of the same samples, `[shadows, n]`.
        members: Which shadow model was trained on which sample, `[shadows, n]` bool.
        population: The tested model's probabilities of samples that no model was trained on, `[m]`, m at least 1.
        population_shadows: The shadow models' probabilities of the same samples, `[shadows, m]`.
        offline: Parameter a of the offline approximation, in [0, 1]. None means the online attack.
        gamma: Smallest ratio at which x dominates z, at least 1.

    Returns:
        Shares of dominated population samples, in [0, 1], higher for members, `[n]`.
    """
    outside = _mean(shadows, ~members)
    if offline is None:
        prior = (outside + _mean(shadows, members)) / 2
    else:
        prior = ((1 + offline) * outside + (1 - offline)) / 2
    ratio = target.double() / prior
    ratios = (population.double() / population_shadows.double().mean(0)).sort().values
    # A population sample is dominated if its ratio is at most that of x divided by gamma.
    return torch.searchsorted(ratios, ratio / gamma, right=True).double() / len(ratios)


def reference_rmia(ratio: Tensor, population_ratio: Tensor, *, gamma: float = GAMMA) -> Tensor:
    """Compare every pair of a sample's and a population sample's ratio Pr(. | model) / Pr(.): correct, slow."""
    dominated = [[float(one / other >= gamma) for other in population_ratio] for one in ratio]
    return torch.tensor(dominated, dtype=torch.float64).mean(1)


def _mean(shadows: Tensor, chosen: Tensor) -> Tensor:
    weight = chosen.double()
    return (shadows.double() * weight).sum(0) / weight.sum(0)
