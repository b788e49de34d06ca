import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.metrics import area, share


@given(count=st.integers(1, 500), data=st.data())
def test_an_interval_holds_its_share(count, data):
    right = data.draw(st.integers(0, count))
    rate = share(right / count, count, chance=0.1)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    assert (rate.chance, rate.count) == (0.1, count)


def test_an_area_is_as_published():
    # Hanley and McNeil 1982, Table I: theta 0.893, 51 abnormal and 58 normal images, standard error 0.032.
    rate = area(0.893, 51, 58)
    assert rate.high - rate.value == pytest.approx(1.96 * 0.032, abs=0.002)
    assert rate.chance == 0.5


def test_areas_of_coins_lie_in_their_interval_as_often_as_they_should():
    generator = torch.Generator().manual_seed(0)
    inside = 0
    for _ in range(400):
        wins = torch.rand(40, 1, generator=generator) > torch.rand(1, 60, generator=generator)
        rate = area(float(wins.double().mean()), 40, 60)
        inside += rate.low <= 0.5 <= rate.high
    assert 0.91 < inside / 400 < 0.99
