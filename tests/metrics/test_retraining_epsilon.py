import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.metrics import EPSILON_CAP, forgetting_quality, largest_epsilon, unlearning_epsilons


def reference_epsilon(unlearned: list[float], retrained: list[float], delta: float) -> float:
    """Try every threshold and interval one by one: correct, slow."""
    widths = max(unlearned) - min(unlearned), max(retrained) - min(retrained)
    if min(widths) < 0.01 * max(widths):
        return EPSILON_CAP

    def rates(chosen: list[float], others: list[float], rule) -> tuple[float, float]:
        return sum(map(rule, others)) / len(others), 1 - sum(map(rule, chosen)) / len(chosen)

    def median(values: list[float]) -> float:
        return sorted(values)[(len(values) - 1) // 2]

    high = median(retrained) > median(unlearned)
    upper, lower = (retrained, unlearned) if high else (unlearned, retrained)
    narrow, wide = (unlearned, retrained) if widths[0] < widths[1] else (retrained, unlearned)
    values = sorted(set(unlearned + retrained))
    found = [rates(upper, lower, lambda value, edge=edge: value >= edge) for edge in values]
    for place, left in enumerate(values):
        for right in values[place:]:
            found.append(rates(narrow, wide, lambda value, a=left, b=right: a <= value <= b))
    best = 0.0
    for false_positives, misses in found:
        if max(false_positives, misses) < 1e-9:
            return EPSILON_CAP
        if min(false_positives, misses) < 1e-9:
            continue
        for one, other in ((false_positives, misses), (misses, false_positives)):
            if 1 - delta - one > 0:
                best = max(best, math.log(1 - delta - one) - math.log(other))
    return min(best, EPSILON_CAP)


@given(st.integers(0, 2**31), st.floats(0, 3), st.floats(0.1, 3), st.integers(3, 7))
def test_equals_the_reference_implementation(seed: int, shift: float, scale: float, models: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    unlearned = torch.randn(models, 2, generator=generator, dtype=torch.float64).mul(4).round() / 4
    retrained = torch.randn(models + 1, 2, generator=generator, dtype=torch.float64).mul(scale).add(shift)
    result = unlearning_epsilons(unlearned, retrained)
    for column, value in enumerate(result.tolist()):
        expected = reference_epsilon(unlearned[:, column].tolist(), retrained[:, column].tolist(), 1e-5)
        assert value == pytest.approx(expected, abs=1e-9)


def test_approaches_the_closed_form_of_two_shifted_uniforms() -> None:
    # A threshold just below the larger range has FPR near 0 and misses half of the positives, or the reverse. With n
    # models, the smallest FPR is 1/n, so epsilon is log(1/2) - log(1/n).
    models = 200
    grid = (torch.arange(models, dtype=torch.float64)[:, None] + 0.5) / models
    estimate = unlearning_epsilons(grid, grid + 0.5, delta=0.0).item()
    assert estimate == pytest.approx(math.log(models / 2), rel=0.02)
    assert estimate < largest_epsilon(models)


def test_equal_models_have_a_small_estimate_and_separated_ones_the_cap() -> None:
    values = torch.arange(20.0)[:, None]
    assert unlearning_epsilons(values, values + 0.1).item() < 0.7
    assert unlearning_epsilons(values, values + 20).item() == EPSILON_CAP
    assert unlearning_epsilons(values, 5 + values / 1000).item() == EPSILON_CAP


def test_delta_lowers_the_estimate() -> None:
    values = torch.arange(20.0)[:, None]
    strict = unlearning_epsilons(values, values + 6, delta=0.0)
    assert unlearning_epsilons(values, values + 6, delta=0.3) < strict


def test_quality_halves_with_each_half_of_epsilon() -> None:
    epsilons = torch.tensor([0.0, 0.49, 0.5, 1.2, EPSILON_CAP])
    assert forgetting_quality(epsilons, 512) == pytest.approx((1 + 1 + 0.5 + 0.25 + 0) / 5)
    # Eight models can't show more than log 7, about 1.95, so estimates from 2 on get nothing.
    assert forgetting_quality(torch.tensor([1.9, 2.0]), 8) == pytest.approx(0.125 / 2)
