from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.support.images import random_images, reference_distances

from palimpsest.metrics import assign


@given(order=st.permutations(range(6)), seed=st.integers(0, 20))
def test_assignment_restores_the_order_of_a_shuffled_batch(order, seed):
    originals = random_images(6, 1, 5, 5, seed=seed)
    shuffled = originals[list(order)]
    assert torch.equal(shuffled[assign(shuffled, originals)], originals)


def test_assignment_is_optimal_rather_than_greedy():
    originals = torch.tensor([0.5, 0.9]).reshape(2, 1, 1, 1)
    reconstructions = torch.tensor([0.6, 0.1]).reshape(2, 1, 1, 1)
    # A greedy assignment gives 0.6 to 0.5, which leaves 0.1 for 0.9: 0.65 in total, against 0.25 for the other.
    assert reconstructions[assign(reconstructions, originals)].flatten().tolist() == pytest.approx([0.1, 0.6])


@given(n=st.integers(1, 5), seed=st.integers(0, 100))
def test_no_permutation_has_a_smaller_total(n, seed):
    originals, reconstructions = (
        random_images(n, 1, 2, 2, seed=seed),
        random_images(n, 1, 2, 2, seed=seed + 1),
    )
    costs = reference_distances(originals, reconstructions)
    smallest = min(float(costs[range(n), list(order)].sum()) for order in permutations(range(n)))
    chosen = assign(reconstructions, originals)
    assert sorted(chosen.tolist()) == list(range(n))
    assert float(costs[range(n), chosen].sum()) == pytest.approx(smallest)
