"""Conversion between Gaussian differential privacy and (epsilon, delta)."""

from typing import Any

import numpy as np

from palimpsest.bounds.trade_off import gaussian_delta
from palimpsest.errors import ConfigurationError


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the smallest epsilon for which a mu-Gaussian release is (epsilon, delta)-private.

    Args:
        mu: Distance of two samples' means, divided by the standard deviation of the noise, at least 0. For several
            releases, the square root of the sum of squares.
        delta: Probability with which the privacy loss may exceed epsilon, in (0, 1).

    Returns:
        Epsilon, at least 0.

    Raises:
        ConfigurationError: An argument is out of range.

    Source:
        Dong, Roth and Su 2022, Corollary 2.13; Balle and Wang 2018, Theorem 5.

    Example:
        >>> from palimpsest.bounds import gaussian_epsilon
        >>> round(gaussian_epsilon(1.0, 1e-5), 2)
        4.38
    """
    if not (0 <= mu < np.inf and 0 < delta < 1):
        raise ConfigurationError(
            f"mu is {mu} and delta is {delta}. Pass a finite mu of at least 0, and a delta between 0 and 1."
        )

    def excess(epsilon: float) -> float:
        return float(gaussian_delta(epsilon, np.asarray(mu))) - delta

    if excess(0.0) <= 0:
        return 0.0
    # Imported late because scipy.optimize takes a third of a second to import.
    from scipy.optimize import brentq

    # delta(epsilon) is at most Phi(mu / 2 - epsilon / mu), which is below any delta at 40 standard deviations.
    root: Any = brentq(excess, 0.0, mu**2 / 2 + 40 * mu)
    return float(root)
