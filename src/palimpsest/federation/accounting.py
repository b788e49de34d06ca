"""Privacy accounting of DP-SGD over the rounds of a federation, with dp-accounting's Renyi accountant."""

from collections.abc import Iterable, Sequence
from functools import cache

from palimpsest.federation.dp_sgd import Release

Steps = tuple[tuple[float, float, int], ...]


def epsilon(releases: Iterable[Release], delta: float) -> float:
    """Return the privacy loss of one client's releases together.

    Neighbors differ by one sample of the client (added or removed). The server sees which clients take part, so the
    drawing of clients adds no privacy. The guarantee holds for real-valued noise from a secret seed.

    Args:
        releases: The client's steps.
        delta: Probability with which the loss may exceed epsilon, in (0, 1).

    Returns:
        Epsilon; 0 without releases.

    Source:
        Mironov et al. 2019, Renyi differential privacy of the sampled Gaussian mechanism.
    """
    steps: dict[tuple[float, float], int] = {}
    for release in releases:
        key = (release.rate, release.noise_multiplier)
        steps[key] = steps.get(key, 0) + release.steps
    return _epsilon(tuple((rate, noise, count) for (rate, noise), count in sorted(steps.items())), delta)


def worst_epsilon(releases: Sequence[Release], delta: float) -> float:
    """Return the largest privacy loss of any client; 0 without releases.

    Args:
        releases: The steps of all clients.
        delta: Probability with which the loss may exceed epsilon, in (0, 1).
    """
    clients = {release.client for release in releases}
    return max(
        (epsilon((one for one in releases if one.client == client), delta) for client in clients), default=0.0
    )


def merged(releases: Iterable[Release]) -> list[Release]:
    """Add up the steps of equal releases, in the order of the clients."""
    steps: dict[tuple[int, float, float], int] = {}
    for release in releases:
        key = (release.client, release.rate, release.noise_multiplier)
        steps[key] = steps.get(key, 0) + release.steps
    return [Release(client, rate, count, noise) for (client, rate, noise), count in sorted(steps.items())]


@cache
def _epsilon(steps: Steps, delta: float) -> float:
    if not steps:
        return 0.0
    # Imported late because it takes a second.
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant()
    for rate, noise, count in steps:
        step = GaussianDpEvent(noise)
        sampled = step if rate == 1 else PoissonSampledDpEvent(rate, step)
        accountant.compose(SelfComposedDpEvent(sampled, count))
    return float(accountant.get_epsilon(delta))
