import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from palimpsest.bounds import gaussian_epsilon, one_run_epsilon
from palimpsest.bounds.one_run import count_guesses, one_run_p_value
from palimpsest.errors import ConfigurationError
from palimpsest.randomness import make_generator


@settings(max_examples=40)
@given(st.integers(1, 60), st.data(), st.floats(0, 5), st.floats(0, 1e-2))
def test_p_value_equals_its_definition(guesses, data, epsilon, delta):
    """Theorem 5.2 term by term: beta + 2 m delta max_i P[v > W >= v - i] / i."""
    correct, canaries = data.draw(st.integers(0, guesses)), guesses + 7
    chance = math.exp(epsilon) / (1 + math.exp(epsilon))
    tail = sum(binom.pmf(k, guesses, chance) for k in range(correct, guesses + 1))
    steepest = max(
        (
            sum(binom.pmf(k, guesses, chance) for k in range(correct - i, correct)) / i
            for i in range(1, correct + 1)
        ),
        default=0.0,
    )
    expected = min(1.0, tail + 2 * canaries * delta * steepest)
    found = one_run_p_value(correct, guesses, epsilon, canaries=canaries, delta=delta)
    assert found == pytest.approx(expected, abs=1e-9)


def test_the_bound_has_the_given_confidence():
    epsilon = one_run_epsilon(90, 100, canaries=200, delta=1e-5)
    assert one_run_p_value(90, 100, epsilon, canaries=200, delta=1e-5) == pytest.approx(0.05, abs=1e-4)
    assert one_run_epsilon(90, 100, canaries=200, delta=1e-5, confidence=0.99) < epsilon
    assert one_run_epsilon(50, 100, canaries=200, delta=0.0) == 0
    assert one_run_epsilon(0, 0, canaries=5, delta=0.0) == 0
    assert one_run_epsilon(10**6, 10**6, canaries=10**6, delta=0.0, confidence=1e-17) == 100


@pytest.mark.parametrize("mu", [0.5, 2.0])
def test_gaussian_canaries_do_not_exceed_their_guarantee(mu):
    generator, wrong = make_generator(int(mu)), 0
    for _ in range(40):
        coins = torch.randint(2, (200,), generator=generator)
        scores = torch.randn(200, generator=generator) + mu * (coins - 0.5)
        correct, guesses = count_guesses(scores, coins)
        assert guesses == 100
        wrong += one_run_epsilon(correct, guesses, canaries=200, delta=1e-5) > gaussian_epsilon(mu, 1e-5)
    assert wrong <= 7


def test_guesses_are_the_most_certain_ones():
    scores, coins = torch.tensor([3.0, -2.0, 0.1, -0.2]), torch.tensor([1, 0, 0, 1])
    assert count_guesses(scores, coins) == (2, 2)
    assert count_guesses(scores, coins, share=1.0) == (2, 4)


def test_numbers_out_of_order_are_rejected():
    with pytest.raises(ConfigurationError, match="5 correct of 4 guesses"):
        one_run_epsilon(5, 4, canaries=10, delta=0.0)
