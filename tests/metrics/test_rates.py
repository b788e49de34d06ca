import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.metrics import area, binomial_interval, share


@given(count=st.integers(1, 500), data=st.data())
def test_an_interval_contains_its_share(count, data):
    right = data.draw(st.integers(0, count))
    rate = share(right / count, count, chance=0.1)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    assert (rate.chance, rate.count) == (0.1, count)


def test_area_agrees_with_the_published_example():
    # Hanley and McNeil 1982, Table I: theta 0.893, 51 abnormal and 58 normal images, standard error 0.032.
    rate = area(0.893, 51, 58)
    assert rate.high - rate.value == pytest.approx(1.96 * 0.032, abs=0.002)
    assert rate.chance == 0.5


def test_area_intervals_have_the_right_coverage_at_chance():
    generator = torch.Generator().manual_seed(0)
    inside = 0
    for _ in range(400):
        wins = torch.rand(40, 1, generator=generator) > torch.rand(1, 60, generator=generator)
        rate = area(float(wins.double().mean()), 40, 60)
        inside += rate.low <= 0.5 <= rate.high
    assert 0.91 < inside / 400 < 0.99


def test_area_interval_follows_the_equation():
    rate = area(0.8, 30, 50)
    # Q1 = 2/3 and Q2 = 32/45: (0.16 + 29 (Q1 - 0.64) + 49 (Q2 - 0.64)) / 1,500 is the variance.
    reach = 1.959964 * 0.002945185185**0.5
    assert (rate.low, rate.high) == pytest.approx((0.8 - reach, 0.8 + reach), rel=1e-9)
    assert (rate.value, rate.count) == (0.8, 80)
    assert area(0.99, 5, 5).high == 1
    assert area(0.01, 5, 5).low == 0


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    [(5, 20, (0.08657, 0.49105)), (0, 10, (0, 0.30850)), (10, 10, (0.69150, 1)), (1, 2, (0.01258, 0.98742))],
)
def test_binomial_interval_is_clopper_pearson(successes, trials, expected):
    assert binomial_interval(successes, trials) == pytest.approx(expected, abs=1e-5)
    narrow = binomial_interval(successes, trials, confidence=0.5)
    assert expected[0] <= narrow[0] <= successes / trials <= narrow[1] <= expected[1]
