"""Largest success of any attack that guesses a sample from a private release, from the release's trade-off function.

An attacker makes one guess, and is right with probability kappa before it sees the release. If no test of a release
against one reference distribution Q has more power than `1 - f(alpha)` at level alpha, then the attacker is right with
probability at most `1 - f(kappa)` (reconstruction robustness: Balle, Cherubin and Hayes 2022, Theorem 2, for a general
f as in Hayes, Mahloujifar and Balle 2023, Theorem 2). Q is any distribution that does not depend on the sample, such as
pure noise: it need not be the release of another sample.

Power is bounded by lines: `P(A) <= delta(epsilon) + e^epsilon Q(A)` for every epsilon, where delta is the hockey-stick
divergence. Every epsilon gives a valid bound; the best one gives `1 - f(kappa)` (Dong, Roth and Su 2022, Prop. 2.12).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from palimpsest.errors import ConfigurationError

_LEAST_LOG = -40.0


def gaussian_success(prior: float, mu: float) -> float:
    """Bound the success of a guess from Gaussian releases: `Phi(Phi^-1(prior) + mu)`.

    Args:
        prior: Probability that the best guess without the release is right, in [0, 1]; 1/n for n equally likely
            candidates.
        mu: Largest distance of a release's mean from one fixed center, divided by the standard deviation, at least 0.
            It is `clip / sigma` for proofs that are clipped to norm `clip` (with 0 as the center), and `sqrt(k)` times
            that for k releases. That is half of the value for two neighboring samples, which are `2 clip` apart.

    Returns:
        The largest probability of a right guess, in [0, 1].

    Raises:
        ConfigurationError: The prior or mu is out of range.

    Source:
        Balle, Cherubin and Hayes 2022; Hayes, Mahloujifar and Balle 2023, section 3 (one step).

    Example:
        >>> from palimpsest.bounds import gaussian_success
        >>> round(gaussian_success(0.001, 1.0), 3)
        0.018
    """
    check_prior(prior)
    if not mu >= 0:
        raise ConfigurationError(f"mu is {mu}, expected at least 0. Divide a distance by the noise.")
    return float(ndtr(ndtri(prior) + mu))


def private_success(prior: float, epsilon: float, delta: float) -> float:
    """Bound the success of a guess from an (epsilon, delta)-private release.

    Args:
        prior: Probability of a right guess without the release, in [0, 1].
        epsilon: Privacy loss between any two candidates, at least 0.
        delta: Probability with which it may be exceeded, in [0, 1].

    Returns:
        The largest probability of a right guess, in [0, 1].

    Source:
        Trade-off function of (epsilon, delta)-privacy: Dong, Roth and Su 2022, Eq. 5.
    """
    check_prior(prior)
    least = math.exp(-epsilon) * (1 - delta - prior)
    return float(min(1.0, delta + math.exp(min(epsilon, 700)) * prior, 1 - max(0.0, least)))


def composed_success(prior: float, loss: Any) -> float:
    """Bound the success of a guess from composed releases, given their privacy loss distribution.

    Args:
        prior: Probability of a right guess without the releases, in [0, 1].
        loss: A `PrivacyLossDistribution` of dp-accounting between the releases of any candidate and one reference, with
            pessimistic estimates; see `gaussian_steps`.

    Returns:
        The largest probability of a right guess, in [0, 1].
    """
    check_prior(prior)
    return least_line(prior, lambda epsilon: float(loss.get_delta_for_epsilon(epsilon)))


@dataclass(frozen=True)
class GaussianStep:
    """Gaussian releases of one kind, for `gaussian_steps`.

    Args:
        mu: Distance of a release's mean from the reference's, divided by the standard deviation, positive.
        count: Number of such releases.
        sampling: Probability that the sample takes part in a release, in (0, 1], as in DP-SGD with Poisson sampling.
    """

    mu: float
    count: int = 1
    sampling: float = 1.0


def gaussian_steps(steps: Sequence[GaussianStep]) -> Any:
    """Compose Gaussian releases of one sample with dp-accounting.

    The reference is the release without the sample, so that this also covers DP-SGD: with gradients clipped to `clip`
    and noise of standard deviation `sigma`, a step has `mu = clip / sigma`.

    Args:
        steps: The releases; at least one.

    Returns:
        A `PrivacyLossDistribution` with pessimistic estimates.

    Source:
        Hayes, Mahloujifar and Balle 2023; Koskela, Jälkö and Honkela 2020 for the composition.
    """
    # dp-accounting takes a third of a second to import.
    from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism

    if not steps:
        raise ConfigurationError("There are no releases to compose. Pass at least one step.")
    losses = [
        from_gaussian_mechanism(1 / step.mu, sampling_prob=step.sampling).self_compose(step.count)
        for step in steps
    ]
    composed = losses[0]
    for loss in losses[1:]:
        composed = composed.compose(loss)
    return composed


def gaussian_delta(epsilon: float, mu: np.ndarray) -> np.ndarray:
    """Return the hockey-stick divergences between unit Gaussians whose means are mu apart.

    Args:
        epsilon: Logarithm of the slope, any number.
        mu: Distances, at least 0, of any shape.

    Returns:
        Divergences in [0, 1], of the same shape.

    Source:
        Balle and Wang 2018, Theorem 5.
    """
    mu = np.asarray(mu, dtype=np.float64)
    apart = np.maximum(mu, 1e-12)
    lower = np.exp(epsilon + log_ndtr(-epsilon / apart - apart / 2))
    return np.maximum(0.0, ndtr(-epsilon / apart + apart / 2) - lower)


def least_line(prior: float, delta: Callable[[float], float]) -> float:
    """Return the smallest value of `delta(epsilon) + e^epsilon prior` over all epsilon, at most 1.

    Args:
        prior: Level of the test, in [0, 1].
        delta: Hockey-stick divergence as a function of epsilon. Any point gives a valid bound, so that the search need
            not be exact.
    """
    # Imported late because scipy.optimize takes a third of a second to import.
    from scipy.optimize import minimize_scalar

    if prior <= 0:
        return delta(700.0)
    highest = -math.log(prior)
    found = minimize_scalar(
        lambda epsilon: delta(epsilon) + math.exp(epsilon) * prior,
        bounds=(_LEAST_LOG, highest + 1e-9),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return float(min(1.0, found.fun))


def check_prior(prior: float) -> None:
    """Check that a prior probability is one.

    Args:
        prior: The probability.

    Raises:
        ConfigurationError: It is outside of [0, 1].
    """
    if not 0 <= prior <= 1:
        raise ConfigurationError(
            f"The prior is {prior}, expected 0 to 1. Pass 1/n for n equally likely candidates."
        )
