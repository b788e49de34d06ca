import pytest
from dp_accounting import ComposedDpEvent, GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant

from palimpsest.federation import Release, epsilon, worst_epsilon
from palimpsest.federation.accounting import merged


def test_equals_dp_accounting_for_different_steps() -> None:
    releases = [Release(0, 0.1, 30, 1.2), Release(0, 1.0, 2, 1.2), Release(0, 0.1, 10, 1.2)]
    event = ComposedDpEvent(
        [
            SelfComposedDpEvent(PoissonSampledDpEvent(0.1, GaussianDpEvent(1.2)), 40),
            SelfComposedDpEvent(GaussianDpEvent(1.2), 2),
        ]
    )
    expected = RdpAccountant().compose(event).get_epsilon(1e-5)
    assert epsilon(releases, 1e-5) == pytest.approx(expected, rel=1e-9)


def test_lies_between_a_tight_bound_and_the_published_one() -> None:
    """Abadi et al. 2016, section 5.1: q = 0.01, sigma = 4 and 10,000 steps give epsilon 1.26 at delta 1e-5."""
    found = epsilon([Release(0, 0.01, 10_000, 4.0)], 1e-5)
    step = PoissonSampledDpEvent(0.01, GaussianDpEvent(4.0))
    tight = PLDAccountant().compose(SelfComposedDpEvent(step, 10_000)).get_epsilon(1e-5)
    assert tight < found <= 1.26
    assert found == pytest.approx(tight, rel=0.2)


def test_worst_client_counts() -> None:
    releases = [Release(0, 0.5, 10, 1.0), Release(1, 0.5, 3, 1.0), Release(1, 0.5, 9, 1.0)]
    assert worst_epsilon(releases, 1e-5) == epsilon(releases[1:], 1e-5) > epsilon(releases[:1], 1e-5)
    assert worst_epsilon([], 1e-5) == epsilon([], 1e-5) == 0
    assert merged(releases) == [Release(0, 0.5, 10, 1.0), Release(1, 0.5, 12, 1.0)]


def test_more_noise_and_fewer_steps_are_more_private() -> None:
    values = [
        epsilon([Release(0, 0.2, steps, noise)], 1e-5) for steps, noise in ((50, 1.0), (10, 1.0), (10, 2.0))
    ]
    assert values == sorted(values, reverse=True)
