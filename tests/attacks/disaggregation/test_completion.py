import pytest
import torch
from tests.support.relu_gradients import ReluGradient

from palimpsest.attacks.disaggregation.candidates import refine
from palimpsest.attacks.disaggregation.completion import missing_patterns
from palimpsest.attacks.disaggregation.low_rank import factorize


@pytest.mark.parametrize("missing", [1, 2])
def test_lists_the_patterns_of_the_missing_samples(missing: int) -> None:
    batch = ReluGradient.random(count=4, seed=2)
    factors = factorize(batch.gradient, 4)
    directions = refine(factors, batch.zeros, batch.weights, sparsity=0.25).directions
    assert len(directions) == 4
    patterns = missing_patterns(factors, directions[missing:], batch.weights)
    assert len(patterns) == (1 if missing == 1 else len(batch.weights) + 1)
    for zeros in batch.zeros[:missing]:
        assert (patterns == zeros).all(dim=1).sum() == 1


def test_lists_nothing_if_none_or_three_are_missing() -> None:
    batch = ReluGradient.random(count=4, seed=2)
    factors = factorize(batch.gradient, 4)
    for known in (1, 4):
        identity = torch.eye(4, dtype=torch.float64)[:known]
        assert missing_patterns(factors, identity, batch.weights).shape == (0, len(batch.weights))
