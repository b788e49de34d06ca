"""Likelihood ratio of kernel densities on models that unlearned (RULI's privacy game, Naderloui et al. 2025)."""

import torch
from torch import Tensor

BANDWIDTH = 1.0
"""Standard deviation of the Gaussian kernel in units of the logit-scaled confidence, as in the authors' code (the
default of scikit-learn's `KernelDensity`)."""


def ruli(target: Tensor, shadows: Tensor, members: Tensor, *, bandwidth: float = BANDWIDTH) -> Tensor:
    """Score whether a sample was forgotten or never trained on, by the ratio of two kernel densities.

    U-LiRA fits a normal distribution to each side. A kernel density also fits a method that leaves a sample untouched
    in some models and damages it in others. The paper trains a third of its shadow models on a sample without
    unlearning it; they do not enter this ratio, and here there are none.

    Args:
        target: The tested model's logit-scaled confidence of each sample, `[n]`.
        shadows: The confidences in shadow models after unlearning, `[shadows, n]`.
        members: Which shadow model was trained on which sample and unlearned it, `[shadows, n]` bool. Each sample needs
            one of these and one that never held it.
        bandwidth: Standard deviation of the Gaussian kernel, positive.

    Returns:
        Logarithms of the likelihood ratio, higher for forgotten samples, `[n]`.
    """
    kernels = -0.5 * ((target.double() - shadows.double()) / bandwidth).square()
    return _log_mean_exp(kernels, members) - _log_mean_exp(kernels, ~members)


def _log_mean_exp(kernels: Tensor, chosen: Tensor) -> Tensor:
    """Return the logarithm of each sample's mean kernel over the chosen models, `[n]`."""
    return kernels.masked_fill(~chosen, -torch.inf).logsumexp(0) - chosen.double().sum(0).log()
