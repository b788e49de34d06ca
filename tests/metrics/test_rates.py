import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.metrics import area, area_interval, binomial_interval, share


@given(count=st.integers(1, 500), data=st.data())
def test_an_interval_contains_its_share(count, data):
    right = data.draw(st.integers(0, count))
    rate = share(right / count, count, chance=0.1)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    assert (rate.chance, rate.count) == (0.1, count)


def test_area_interval_is_newcombes_method_5():
    # The ends are the areas whose own standard error puts the estimate 1.959964 of them away; the variance is that of
    # Hanley and McNeil with the mean of both numbers of samples in the numerator.
    for value, positives, negatives in ((0.893, 51, 58), (0.8, 30, 50), (0.5, 40, 60), (0.3, 200, 20)):
        found = area(value, positives, negatives)
        others = (positives + negatives) / 2 - 1
        for end in (found.low, found.high):
            above, below = end / (2 - end), 2 * end**2 / (1 + end)
            variance = end * (1 - end) + others * (above - end**2 + below - end**2)
            spread = (variance / (positives * negatives)) ** 0.5
            assert abs(value - end) == pytest.approx(1.959964 * spread, rel=1e-9)
        assert found.low < value < found.high
        assert (found.value, found.chance, found.count) == (value, 0.5, positives + negatives)


def test_area_agrees_with_the_published_example():
    # Hanley and McNeil 1982, Table I: theta 0.893, 51 abnormal and 58 normal images, standard error 0.032.
    low, high = area_interval(0.893, 51, 58)
    assert high - low == pytest.approx(2 * 1.96 * 0.032, rel=0.05)


def test_area_intervals_have_the_right_coverage_at_chance():
    generator = torch.Generator().manual_seed(0)
    inside = 0
    for _ in range(400):
        wins = torch.rand(40, 1, generator=generator) > torch.rand(1, 60, generator=generator)
        rate = area(float(wins.double().mean()), 40, 60)
        inside += rate.low <= 0.5 <= rate.high
    assert 0.91 < inside / 400 < 0.99


@pytest.mark.parametrize(("positives", "negatives"), [(1, 1), (10, 10), (10, 1000), (300, 20)])
def test_a_perfect_area_has_the_interval_of_the_fewer_samples_all_successful(positives, negatives):
    fewer = min(positives, negatives)
    assert area_interval(1.0, positives, negatives) == pytest.approx(binomial_interval(fewer, fewer))
    assert area_interval(0.0, positives, negatives) == pytest.approx(binomial_interval(0, fewer))


@pytest.mark.parametrize("outliers", ["positives", "negatives", "both"])
def test_a_perfect_area_covers_distributions_with_rare_outliers(outliers):
    # A share of the samples lies on the wrong side of all others. Had the area been exactly the lower end, the chance
    # of seeing no outlier, and so an area of 1, would be at most 2.5 %.
    count = 12
    true_area = area_interval(1.0, count, count)[0]
    kept = true_area if outliers != "both" else true_area**0.5
    none_in_positives = kept**count if outliers != "negatives" else 1.0
    none_in_negatives = kept**count if outliers != "positives" else 1.0
    assert none_in_positives * none_in_negatives <= 0.025 * (1 + 1e-9)


@given(value=st.floats(0, 1), positives=st.integers(1, 300), negatives=st.integers(1, 300))
def test_area_intervals_contain_their_area_and_have_a_width(value, positives, negatives):
    low, high = area_interval(value, positives, negatives)
    assert 0 <= low <= value <= high <= 1
    assert high - low > 0.006
    mirrored = area_interval(1 - value, negatives, positives)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_area_intervals_grow_with_the_area_up_to_the_corner():
    ends = [area_interval(step / 1000, 60, 40) for step in range(1001)]
    for which in (0, 1):
        values = [pair[which] for pair in ends]
        assert values == sorted(values)


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    [(5, 20, (0.08657, 0.49105)), (0, 10, (0, 0.30850)), (10, 10, (0.69150, 1)), (1, 2, (0.01258, 0.98742))],
)
def test_binomial_interval_is_clopper_pearson(successes, trials, expected):
    assert binomial_interval(successes, trials) == pytest.approx(expected, abs=1e-5)
    narrow = binomial_interval(successes, trials, confidence=0.5)
    assert expected[0] <= narrow[0] <= successes / trials <= narrow[1] <= expected[1]
