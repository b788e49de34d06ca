"""Separation of forged proofs from honest ones by a verifier."""

from torch import Tensor

from palimpsest.metrics.rates import Rate
from palimpsest.metrics.roc import roc


def separation(honest: Tensor, forged: Tensor) -> Rate:
    """Compute the area under a verifier's ROC curve with its 95 % interval; see `area_interval`.

    The area is the probability that a forged proof is more suspicious than an honest one; a tie counts half. 0.5 is
    chance, and below it forged proofs look better than honest ones.

    Args:
        honest: Suspicion scores of honest proofs, `[n]`; infinity is allowed.
        forged: Suspicion scores of forged proofs, `[m]`.

    Returns:
        The area with its interval over the proofs.
    """
    return roc(forged, honest).auc
