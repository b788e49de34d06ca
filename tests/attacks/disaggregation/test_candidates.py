import torch
from tests.support.relu_gradients import ReluGradient

from palimpsest.attacks.disaggregation.candidates import Candidates, refine
from palimpsest.attacks.disaggregation.low_rank import factorize


def test_keeps_the_directions_of_samples() -> None:
    batch = ReluGradient.random()
    factors = factorize(batch.gradient, 3)
    # Some of the zeros are enough to find the others.
    partial = batch.zeros.clone()
    partial[:, :20] = False
    found = refine(factors, partial, batch.weights, sparsity=0.25)
    assert torch.equal(found.zeros, batch.zeros)
    columns = found.directions @ factors.left.T
    cosines = torch.cosine_similarity(columns * factors.noise, batch.gradients)
    torch.testing.assert_close(cosines.abs(), torch.ones(3, dtype=torch.float64))


def test_drops_a_difference_of_two_samples() -> None:
    batch = ReluGradient.random()
    both = batch.zeros[0] & batch.zeros[1]
    accident = both.clone()
    accident[(~batch.zeros[0] & ~batch.zeros[1]).nonzero()[0]] = True
    found = refine(factorize(batch.gradient, 3), torch.stack([both, accident]), batch.weights, sparsity=0.1)
    assert not len(found)


def test_drops_a_pattern_that_no_input_makes() -> None:
    batch = ReluGradient.random(units=200)
    factors = factorize(batch.gradient, 3)
    other = ReluGradient.random(units=200, seed=9)
    assert len(refine(factors, batch.zeros, batch.weights, sparsity=0.25)) == 3
    assert not len(refine(factors, batch.zeros, other.weights, sparsity=0.25))


def test_merging_keeps_distinct_directions_with_the_most_zeros_first() -> None:
    batch = ReluGradient.random()
    factors = factorize(batch.gradient, 3)
    found = refine(factors, batch.zeros, batch.weights, sparsity=0.25)
    merged = Candidates.none(factors).merge(found, factors).merge(found, factors)
    assert len(merged) == 3
    counts = merged.zeros.sum(dim=1).tolist()
    assert counts == sorted(counts, reverse=True)
