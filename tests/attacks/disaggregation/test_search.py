"""Disaggregation of gradients, against the enumeration of all submatrices."""

from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.attack_views import seeded
from tests.support.relu_gradients import ReluGradient
from torch import Tensor

from palimpsest.attacks.disaggregation.batches import with_constant
from palimpsest.attacks.disaggregation.low_rank import factorize
from palimpsest.attacks.disaggregation.search import Found, KernelSearch, check_size
from palimpsest.errors import ModelError
from palimpsest.progress import progress_line


def search(batch: ReluGradient, *, submatrices: int = 3000, activity: Tensor | None = None) -> Found:
    with progress_line("test", submatrices) as line:
        attack = KernelSearch(submatrices, 0.25, seeded(1))
        return attack.run(batch.gradient, batch.weights, len(batch.inputs), activity, line)


def reference_zeros(batch: ReluGradient) -> set[tuple[bool, ...]]:
    """Return the zeros of the sparsest independent kernels of all submatrices; correct, slow."""
    left = factorize(batch.gradient, len(batch.inputs)).left
    left = left / left.norm(dim=0)
    kernels: list[tuple[int, Tensor, Tensor]] = []
    for rows in combinations(range(len(left)), left.shape[1] - 1):
        _, values, vectors = torch.linalg.svd(left[list(rows)])
        if float(values.min()) > 1e-9:
            zeros = (left @ vectors[-1]).abs() < 1e-10
            kernels.append((int(zeros.sum()), vectors[-1], zeros))
    kernels.sort(key=lambda kernel: kernel[0], reverse=True)
    chosen: list[tuple[Tensor, Tensor]] = []
    for _, direction, zeros in kernels:
        trial = torch.stack([*(other for other, _ in chosen), direction])
        if len(chosen) < left.shape[1] and torch.linalg.matrix_rank(trial, tol=1e-6) == len(trial):
            chosen.append((direction, zeros))
    return {tuple(zeros.tolist()) for _, zeros in chosen}


@pytest.mark.parametrize("seed", range(3))
def test_finds_the_zeros_that_the_enumeration_of_all_submatrices_finds(seed: int) -> None:
    batch = ReluGradient.random(units=30, features=8, seed=seed)
    expected = reference_zeros(batch)
    assert expected == {tuple(zeros.tolist()) for zeros in batch.zeros}
    assert {tuple(zeros.tolist()) for zeros in search(batch).candidates.zeros} == expected


@settings(max_examples=12)
@given(st.integers(1, 5), st.integers(0, 1000))
def test_a_recovered_batch_reproduces_the_gradient(count: int, seed: int) -> None:
    batch = ReluGradient.random(count=count, seed=seed)
    found = search(batch).recovered
    assert found is not None
    assert bool(found.consistent.all())
    torch.testing.assert_close(found.gradients.T @ with_constant(found.inputs), batch.gradient)
    # The order within a batch has no meaning.
    distances = torch.cdist(found.inputs, batch.inputs)
    assert sorted(distances.argmin(dim=1).tolist()) == list(range(count))
    assert float(distances.min(dim=1).values.max()) < 1e-7


def test_guidance_by_the_activity_of_units_needs_fewer_submatrices() -> None:
    batch = ReluGradient.random(units=400, features=40, count=12, seed=3)
    # Shift the units such that some are rarely active and others nearly always.
    shift = torch.linspace(-12, 12, 400, dtype=torch.float64)
    weights = batch.weights.clone()
    weights[:, -1] += shift
    outputs = with_constant(batch.inputs) @ weights.T
    noise = torch.randn(12, 400, generator=seeded(4), dtype=torch.float64)
    batch = ReluGradient(weights, batch.inputs, noise * (outputs > 0))
    public = torch.randn(500, 40, generator=seeded(5), dtype=torch.float64)
    activity = (with_constant(public) @ weights.T > 0).double().mean(dim=0)
    guided, uniform = (search(batch, submatrices=20_000, activity=known) for known in (activity, None))
    assert guided.recovered is not None
    assert bool(guided.recovered.consistent.all())
    assert guided.drawn < uniform.drawn


def test_a_gradient_of_zero_has_no_samples() -> None:
    batch = ReluGradient.random()
    nothing = ReluGradient(batch.weights, batch.inputs, torch.zeros_like(batch.gradients))
    found = search(nothing)
    assert (found.factors.rank, found.drawn, found.recovered) == (0, 0, None)


def test_a_layer_must_have_more_units_and_inputs_than_samples() -> None:
    check_size(torch.zeros(5, 9), 4)
    with pytest.raises(ModelError, match="5 units and 8 inputs, too few to separate 5 samples"):
        check_size(torch.zeros(5, 9), 5)
