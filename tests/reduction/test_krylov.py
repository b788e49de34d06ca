from collections.abc import Sequence
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from palimpsest.errors import ResourceError
from palimpsest.reduction import fit_projection
from palimpsest.reduction.centered_rows import CenteredRows
from palimpsest.reduction.krylov import leading_eigenvectors

# Enough for a few directions, but not for a Gram matrix of these vectors.
SMALL = 2**20


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def decaying_vectors(count: int, dimension: int, *, power: float, seed: int = 0) -> Tensor:
    """Draw vectors with a mean that is not zero, whose singular values decay by a power law."""
    vectors = torch.randn(count, dimension, generator=generator(seed))
    return vectors * (torch.arange(dimension) + 1.0) ** -power + 0.5


def random_columns(size: int, width: int, seed: int = 0) -> Tensor:
    return torch.randn(size, width, dtype=torch.float64, generator=generator(seed))


class Diagonal:
    """Multiplies by a diagonal matrix in float64, and counts the calls.

    Args:
        values: Diagonal, with the eigenvalues.
    """

    def __init__(self, values: Sequence[float] | Tensor) -> None:
        self.values = torch.as_tensor(values, dtype=torch.float64)
        self.calls = 0

    def __call__(self, columns: Tensor) -> Tensor:
        self.calls += 1
        assert self.calls <= 20, "the iteration does not end"
        return self.values[:, None] * columns


def powers(size: int, power: float) -> Tensor:
    return (torch.arange(size, dtype=torch.float64) + 1.0) ** -power


def captured(vectors: Tensor, basis: Tensor) -> float:
    vectors, basis = vectors.double(), basis.double()
    return float(((vectors - vectors.mean(0)) @ basis).square().sum())


@settings(max_examples=20)
@given(
    st.sampled_from([(300, 500), (500, 300), (400, 400)]),
    st.integers(1, 40),
    st.floats(0.5, 1.5),
    st.booleans(),
    st.integers(0, 3),
)
def test_captures_the_variance_of_the_exact_directions(
    shape: tuple[int, int], k: int, power: float, directions: bool, seed: int
) -> None:
    vectors = decaying_vectors(*shape, power=power, seed=seed)
    found = fit_projection(
        vectors,
        explained_variance=1.0,
        components=k,
        directions=directions,
        memory_budget=SMALL,
        generator=generator(),
    )
    rows = vectors / vectors.norm(dim=1, keepdim=True) if directions else vectors
    exact = torch.linalg.svd(rows.double() - rows.double().mean(0), full_matrices=False)
    assert found.components == k
    assert captured(rows, found.basis) >= (1 - 1e-3) * captured(rows, exact.Vh[:k].T)
    torch.testing.assert_close(found.basis.T @ found.basis, torch.eye(k), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.mean, rows.mean(0), rtol=1e-4, atol=1e-5)
    # The reported share is the captured share of the variance, or slightly less.
    reported, captured_share = (
        float(found.explained[-1]),
        captured(rows, found.basis) / float(exact.S.square().sum()),
    )
    assert (1 - 1e-3) * captured_share <= reported <= (1 + 1e-5) * captured_share


@pytest.mark.parametrize(
    ("share", "fewest", "budget"),
    [
        (0.5, 40, 6 * 10**6),  # not enough for all 700 directions
        (0.9, 256, 13 * 10**6),
    ],
)
def test_computes_as_many_directions_as_the_share_requires(share: float, fewest: int, budget: int) -> None:
    vectors = decaying_vectors(700, 900, power=0.4)
    exact = fit_projection(vectors, explained_variance=share, generator=generator())
    found = fit_projection(vectors, explained_variance=share, memory_budget=budget, generator=generator())
    assert exact.components > fewest
    assert found.components == pytest.approx(exact.components, rel=0.01)
    assert share <= float(found.explained[-1]) <= share + 0.01


def test_rejects_directions_that_do_not_fit() -> None:
    with pytest.raises(ResourceError, match=r"Raise --memory-budget, or lower attack\.components"):
        fit_projection(decaying_vectors(700, 900, power=0.4), memory_budget=SMALL, generator=generator())


def test_eigenvalues_equal_those_of_a_full_decomposition() -> None:
    rows = decaying_vectors(300, 500, power=1.0).double()
    matrix = rows @ rows.T
    values, vectors = leading_eigenvectors(
        matrix.__matmul__, random_columns(300, 12), components=5, memory_budget=2**30
    )
    exact = torch.linalg.eigvalsh(matrix).flip(0)
    assert values[:5].sum() >= (1 - 1e-3) * exact[:5].sum()
    assert (values[:5] <= exact[:5] * (1 + 1e-12)).all()
    torch.testing.assert_close(
        vectors.T @ matrix @ vectors, torch.diag(values), rtol=0, atol=1e-9 * float(exact[0])
    )


def test_decomposes_a_low_rank_matrix_completely() -> None:
    rows = torch.randn(60, 3, dtype=torch.float64, generator=generator())
    matrix = rows @ rows.T
    values, vectors = leading_eigenvectors(
        matrix.__matmul__, random_columns(60, 18), components=10, memory_budget=2**30
    )
    torch.testing.assert_close(values[3:10], torch.zeros(7, dtype=torch.float64), rtol=0, atol=1e-10)
    torch.testing.assert_close(vectors * values @ vectors.T, matrix)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(vectors.shape[1], dtype=torch.float64))


@pytest.mark.parametrize(("power", "components"), [(0.3, 12), (0.3, 20), (0.4, 20)])
def test_misses_less_than_a_thousandth_of_slowly_decaying_eigenvalues(power: float, components: int) -> None:
    multiply = Diagonal(powers(300, power))
    values, _ = leading_eigenvectors(
        multiply, random_columns(300, components + 8, 1), components=components, memory_budget=2**30
    )
    assert values[:components].sum() >= (1 - 1e-3) * multiply.values[:components].sum()


def test_fills_the_memory_budget_before_it_restarts() -> None:
    multiply, start = Diagonal(powers(200, 1.0)), random_columns(200, 12)
    # Four copies of each direction in float64.
    column = 4 * 8 * 200
    values, _ = leading_eigenvectors(multiply, start, components=4, memory_budget=36 * column)
    assert multiply.calls == 3
    assert values.shape == (36,)


def test_restarts_from_the_best_columns_if_two_blocks_fit_the_memory_budget() -> None:
    multiply, start = Diagonal(powers(200, 1.0)), random_columns(200, 12)
    budget = 24 * 4 * 8 * 200
    values, vectors = leading_eigenvectors(multiply, start, components=4, memory_budget=budget)
    assert multiply.calls > 2
    assert values.shape == (24,)
    assert values[:4].sum() >= (1 - 1e-3) * multiply.values[:4].sum()
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(24, dtype=torch.float64))
    with pytest.raises(ResourceError, match=r"24 directions of 200 numbers"):
        leading_eigenvectors(multiply, start, components=4, memory_budget=budget - 1)


def test_stops_as_soon_as_the_eigenvalues_reach_the_target() -> None:
    multiply = Diagonal([100.0] * 8)
    values, _ = leading_eigenvectors(
        multiply, random_columns(8, 2), components=None, target_sum=200 * (1 - 1e-9), memory_budget=2**20
    )
    assert multiply.calls == 1
    torch.testing.assert_close(values, torch.full((2,), 100.0, dtype=torch.float64))


def test_a_target_that_is_reached_exactly_needs_no_further_direction() -> None:
    # The first two columns are eigenvectors. The third one is not, but is not needed for the sum of 6.
    start = torch.eye(8, dtype=torch.float64)[:, :3]
    start[3, 2] = 1.0
    for columns in (2, 3):
        multiply = Diagonal([4.0, 2.0, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0])
        values, _ = leading_eigenvectors(
            multiply, start[:, :columns], components=None, target_sum=6.0, memory_budget=2**20
        )
        assert multiply.calls == 1
        assert values[:2].tolist() == [4.0, 2.0]


def test_continues_until_the_directions_that_reach_the_target_have_converged() -> None:
    # The second column is between the eigenvectors of 3 and 1, so its Rayleigh quotient is 2.
    axes = torch.linalg.qr(random_columns(8, 8)).Q
    matrix = axes @ torch.diag(torch.tensor([4.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]).double()) @ axes.T
    start = torch.stack([axes[:, 0], axes[:, 1] + axes[:, 2]], 1)
    values, _ = leading_eigenvectors(
        matrix.__matmul__, start, components=None, target_sum=5.9, memory_budget=2**20
    )
    torch.testing.assert_close(values[:2], torch.tensor([4.0, 3.0]).double())


def test_a_target_out_of_reach_gives_all_eigenvalues() -> None:
    multiply = Diagonal([6.0, 5.0, 4.0, 3.0, 2.0, 1.0])
    values, vectors = leading_eigenvectors(
        multiply, random_columns(6, 2), components=None, memory_budget=2**20
    )
    assert multiply.calls == 3
    torch.testing.assert_close(values, multiply.values)
    torch.testing.assert_close(vectors.abs(), torch.eye(6, dtype=torch.float64))


@pytest.mark.parametrize("rank", [0, 2])
def test_vectors_of_a_lower_rank_than_requested(rank: int) -> None:
    vectors = (
        torch.randn(400, rank, generator=generator()) @ torch.randn(rank, 600, generator=generator(1)) + 1.0
    )
    found = fit_projection(
        vectors, explained_variance=1.0, components=10, memory_budget=SMALL, generator=generator()
    )
    assert found.components == max(1, rank)
    assert all(value.isfinite().all() for value in (found.basis, found.singular_values, found.explained))
    assert captured(vectors, found.basis) == pytest.approx(
        float((vectors - vectors.mean(0)).square().sum()), rel=1e-4, abs=1e-4
    )


def test_vectors_without_variance_give_one_finite_direction() -> None:
    found = fit_projection(
        torch.zeros(200, 300),
        explained_variance=1.0,
        components=3,
        memory_budget=2**18,
        generator=generator(),
    )
    assert found.components == 1
    assert not found.basis.any()


def test_directions_are_orthonormal_despite_a_large_mean() -> None:
    vectors = decaying_vectors(300, 500, power=1.5) + 10.0
    found = fit_projection(
        vectors, explained_variance=1.0, components=40, memory_budget=SMALL, generator=generator()
    )
    assert found.components == 40
    torch.testing.assert_close(found.basis.T @ found.basis, torch.eye(found.components), rtol=0, atol=1e-5)


def test_multiplies_directions_in_chunks_that_fit_the_budget() -> None:
    vectors = decaying_vectors(300, 5000, power=1.0)
    found = [
        fit_projection(vectors, components=10, memory_budget=budget, generator=generator())
        for budget in (2**18, 2**20)
    ]
    torch.testing.assert_close(found[0].singular_values, found[1].singular_values, rtol=1e-2, atol=0)


@pytest.mark.parametrize(
    ("dimension", "budget", "largest"),
    [
        (5_000, 4 * 3 * 4 * 5_000 - 1, 3),  # three copies in float32 of each direction
        (5_000, 4 * 3 * 4 * 5_000, 4),
        (5_000, 2**20, 17),
        (22_000, 3 * 4 * 22_000 - 1, 1),  # one direction at least, even if it exceeds the budget
    ],
)
def test_long_directions_are_multiplied_in_the_largest_chunks(
    dimension: int, budget: int, largest: int
) -> None:
    with (
        patch.object(
            CenteredRows, "transposed_times", autospec=True, side_effect=CenteredRows.transposed_times
        ) as transposed_times,
        patch("palimpsest.reduction.projection.leading_eigenvectors", wraps=leading_eigenvectors) as krylov,
    ):
        fit_projection(
            decaying_vectors(200, dimension, power=1.0),
            components=10,
            memory_budget=budget,
            generator=generator(),
        )
    assert max(call.args[1].shape[1] for call in transposed_times.call_args_list) == largest
    # Ten directions and eight more, so that the last ones converge sooner.
    assert krylov.call_args.args[1].shape == (200, 18)


@pytest.mark.parametrize("shape", [(300, 500), (500, 300)])
def test_the_generator_determines_the_directions(shape: tuple[int, int]) -> None:
    first, again = (
        fit_projection(
            decaying_vectors(*shape, power=1.0), components=5, memory_budget=SMALL, generator=generator()
        )
        for _ in range(2)
    )
    assert torch.equal(first.basis, again.basis)
    assert torch.equal(first.singular_values, again.singular_values)


@pytest.mark.parametrize(("count", "iterates"), [(71, False), (72, True)])
def test_a_gram_matrix_of_six_times_as_many_rows_as_directions_is_iterated(
    count: int, iterates: bool
) -> None:
    vectors = decaying_vectors(count, 300, power=1.0)
    with patch("palimpsest.reduction.projection.leading_eigenvectors", wraps=leading_eigenvectors) as krylov:
        first, again = (
            fit_projection(vectors, explained_variance=1.0, components=4, generator=generator())
            for _ in range(2)
        )
    assert bool(krylov.called) is iterates
    if iterates:
        assert krylov.call_args.args[1].shape == (count, 12)
        assert krylov.call_args.args[1].dtype == torch.float64
    exact = torch.linalg.svd(vectors.double() - vectors.double().mean(0), full_matrices=False)
    share = captured(vectors, first.basis) / float(exact.S.square().sum())
    assert first.components == 4
    assert captured(vectors, first.basis) >= (1 - 1e-3) * captured(vectors, exact.Vh[:4].T)
    assert float(first.explained[-1]) == pytest.approx(share, rel=1e-3)
    assert torch.equal(first.basis, again.basis)


def test_a_restart_under_a_tight_budget_converges() -> None:
    values = torch.arange(1, 201, dtype=torch.float64) ** -0.5
    multiplications = 0

    def multiply(block: torch.Tensor) -> torch.Tensor:
        nonlocal multiplications
        multiplications += 1
        assert multiplications < 60, "the iteration does not end"
        return values[:, None] * block

    start = torch.randn(200, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found, vectors = leading_eigenvectors(
        multiply, start, components=4, target_sum=0.0, memory_budget=4 * 8 * 200 * 12 * 3
    )
    torch.testing.assert_close(found[:4], values[:4], rtol=1e-3, atol=0)
    torch.testing.assert_close(vectors[:, :4].T @ vectors[:, :4], torch.eye(4, dtype=torch.float64))
