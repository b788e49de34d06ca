import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from palimpsest.bounds import gaussian_epsilon
from palimpsest.errors import ConfigurationError


@given(st.floats(0.01, 30), st.floats(1e-9, 0.5))
def test_epsilon_solves_the_equation_of_the_gaussian_mechanism(mu, delta):
    epsilon = gaussian_epsilon(mu, delta)
    reached = norm.cdf(mu / 2 - epsilon / mu) - math.exp(epsilon + norm.logcdf(-mu / 2 - epsilon / mu))
    assert reached <= delta * (1 + 1e-6) + 1e-12
    if epsilon > 0:
        assert reached == pytest.approx(delta, rel=1e-3)


def test_extremes():
    assert gaussian_epsilon(0.0, 1e-5) == 0
    assert gaussian_epsilon(0.001, 0.1) == 0
    assert gaussian_epsilon(1e6, 1e-5) == pytest.approx(5e11, rel=1e-3)


@pytest.mark.parametrize(("mu", "delta"), [(-1.0, 0.1), (math.inf, 0.1), (1.0, 0.0), (1.0, 1.0)])
def test_impossible_arguments_are_rejected(mu, delta):
    with pytest.raises(ConfigurationError, match="Pass a finite mu"):
        gaussian_epsilon(mu, delta)
