"""Conclusions from the bounds of a run about attacks that were not tried."""

from collections.abc import Iterator

from palimpsest.metrics.schema import Metrics

MOST_LINKED, LEAST_ERROR = 0.05, 0.5
"""Every attack is limited if the proven identification bound is at most this far above chance, and the smallest error
of any attack is at least this share of the mean image's."""


def limits_every_attack(metrics: Metrics) -> bool:
    """Return whether the bounds exclude a leak of the proofs, whatever the attack.

    Args:
        metrics: The metrics of a run.
    """
    bounds, typical = metrics.bounds, metrics.baselines.get("mean_image") or metrics.baselines.get("typical")
    if bounds is None or bounds.identification is None or bounds.error is None or typical is None:
        return False
    proven, usual = bounds.identification.bound, typical.mse
    if proven is None or usual is None:
        return False
    return (
        proven <= bounds.identification.chance + MOST_LINKED
        and bounds.error.bayes_interval[0] >= LEAST_ERROR * usual
    )


def bound_reasons(metrics: Metrics) -> Iterator[str]:
    """Yield what is proven about every attack on one proof, one sentence each; why nothing is, if nothing is.

    Args:
        metrics: The metrics of a run.
    """
    bounds = metrics.bounds
    if bounds is None:
        return
    if bounds.reason is not None:
        yield f"{bounds.reason[0].upper()}{bounds.reason[1:]}."
        return
    found, error = bounds.identification, bounds.error
    if found is not None and found.bound is not None:
        optimum = (
            ""
            if found.optimum is None
            else f"; the best possible one is expected to link {found.optimum:.1%}"
        )
        yield (
            f"No attack on one proof links more than {found.bound:.1%} of the proofs to the correct one of "
            f"{found.candidates:,} candidates in expectation (chance {found.chance:.3g}){optimum}."
        )
    if error is not None:
        low, high = error.bayes_interval
        yield (
            f"No attack has an expected error below {error.bayes_error:.3g} (95 % interval {low:.3g} to {high:.3g}), "
            "if the forgotten and the auxiliary samples are drawn from one distribution."
        )
