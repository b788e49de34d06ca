import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from palimpsest.errors import ResourceError
from palimpsest.reduction import fit_projection
from palimpsest.reduction.krylov import leading_eigenvectors
from palimpsest.reduction.projection import _better_without_gram

# Enough for a few directions, but not for a Gram matrix of these vectors.
SMALL = 2**20


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def decaying_vectors(count: int, dimension: int, *, power: float, seed: int = 0) -> Tensor:
    """Draw vectors with a mean that is not zero, whose singular values decay by a power law."""
    vectors = torch.randn(count, dimension, generator=generator(seed))
    return vectors * (torch.arange(dimension) + 1.0) ** -power + 0.5


def random_columns(size: int, width: int) -> Tensor:
    return torch.randn(size, width, dtype=torch.float64, generator=generator())


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


@pytest.mark.parametrize(("share", "fewest"), [(0.5, 40), (0.9, 256)])
def test_computes_as_many_directions_as_the_share_requires(share: float, fewest: int) -> None:
    vectors = decaying_vectors(700, 900, power=0.4)
    exact = fit_projection(vectors, explained_variance=share, generator=generator())
    found = fit_projection(vectors, explained_variance=share, memory_budget=13 * 10**6, generator=generator())
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


def test_multiplies_directions_in_chunks_that_fit_the_budget() -> None:
    vectors = decaying_vectors(300, 5000, power=1.0)
    found = [
        fit_projection(vectors, components=10, memory_budget=budget, generator=generator())
        for budget in (2**18, 2**20)
    ]
    torch.testing.assert_close(found[0].singular_values, found[1].singular_values, rtol=1e-2, atol=0)


@pytest.mark.parametrize(
    ("count", "components", "budget", "without_gram"),
    [
        (4000, 30, 2**32, True),  # six matmuls with 38 directions cost less than half a matmul with 4,000
        (4000, 400, 2**32, False),
        (4000, None, 2**32, False),
        (100_000, None, 2**32, True),  # the Gram matrix of 66,570 columns has 35 GB
    ],
)
def test_selects_the_cheaper_algorithm_that_fits(
    count: int, components: int | None, budget: int, without_gram: bool
) -> None:
    assert _better_without_gram(count, 66_570, components, budget) is without_gram
