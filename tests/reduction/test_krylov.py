import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from palimpsest.errors import ResourceError
from palimpsest.reduction import fit_projection
from palimpsest.reduction.krylov import leading_eigenvectors
from palimpsest.reduction.projection import _better_without_gram

# Room for some directions, and for no Gram matrix of these vectors.
SMALL = 2**20


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def falling(count: int, dimension: int, *, power: float, seed: int = 0) -> Tensor:
    """Vectors whose singular values fall like a power of their number, around a mean that is not zero."""
    vectors = torch.randn(count, dimension, generator=generator(seed))
    return vectors * (torch.arange(dimension) + 1.0) ** -power + 0.5


def drawn(size: int, width: int) -> Tensor:
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
def test_captures_what_the_exact_directions_do(
    shape: tuple[int, int], k: int, power: float, directions: bool, seed: int
) -> None:
    vectors = falling(*shape, power=power, seed=seed)
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
    # What is told of them is what they capture of all that there is, or hardly less.
    told, capture = float(found.explained[-1]), captured(rows, found.basis) / float(exact.S.square().sum())
    assert (1 - 1e-3) * capture <= told <= (1 + 1e-5) * capture


@pytest.mark.parametrize(("share", "more"), [(0.5, 40), (0.9, 256)])
def test_as_many_are_looked_for_as_the_share_takes(share: float, more: int) -> None:
    vectors = falling(700, 900, power=0.4)
    exact = fit_projection(vectors, explained_variance=share, generator=generator())
    found = fit_projection(vectors, explained_variance=share, memory_budget=13 * 10**6, generator=generator())
    assert exact.components > more
    assert found.components == pytest.approx(exact.components, rel=0.01)
    assert share <= float(found.explained[-1]) <= share + 0.01


def test_directions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ResourceError, match=r"raise --memory-budget, or lower attack\.components"):
        fit_projection(falling(700, 900, power=0.4), memory_budget=SMALL, generator=generator())


def test_the_eigenvalues_are_those_of_a_decomposition() -> None:
    rows = falling(300, 500, power=1.0).double()
    matrix = rows @ rows.T
    values, vectors = leading_eigenvectors(
        matrix.__matmul__, drawn(300, 12), components=5, memory_budget=2**30
    )
    exact = torch.linalg.eigvalsh(matrix).flip(0)
    assert values[:5].sum() >= (1 - 1e-3) * exact[:5].sum()
    assert (values[:5] <= exact[:5] * (1 + 1e-12)).all()
    torch.testing.assert_close(
        vectors.T @ matrix @ vectors, torch.diag(values), rtol=0, atol=1e-9 * float(exact[0])
    )


def test_a_matrix_of_few_directions_is_taken_apart_whole() -> None:
    rows = torch.randn(60, 3, dtype=torch.float64, generator=generator())
    matrix = rows @ rows.T
    values, vectors = leading_eigenvectors(
        matrix.__matmul__, drawn(60, 18), components=10, memory_budget=2**30
    )
    torch.testing.assert_close(values[3:10], torch.zeros(7, dtype=torch.float64), rtol=0, atol=1e-10)
    torch.testing.assert_close(vectors * values @ vectors.T, matrix)
    torch.testing.assert_close(vectors.T @ vectors, torch.eye(vectors.shape[1], dtype=torch.float64))


@pytest.mark.parametrize("rank", [0, 2])
def test_vectors_that_vary_in_fewer_directions_than_are_wanted(rank: int) -> None:
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


def test_directions_are_multiplied_a_few_at_a_time_where_more_do_not_fit() -> None:
    vectors = falling(300, 5000, power=1.0)
    found = [
        fit_projection(vectors, components=10, memory_budget=budget, generator=generator())
        for budget in (2**18, 2**20)
    ]
    torch.testing.assert_close(found[0].singular_values, found[1].singular_values, rtol=1e-2, atol=0)


@pytest.mark.parametrize(
    ("count", "components", "budget", "without"),
    [
        (4000, 30, 2**32, True),  # six products with 38 directions, or half of one with 4,000
        (4000, 400, 2**32, False),
        (4000, None, 2**32, False),
        (100_000, None, 2**32, True),  # the Gram matrix of 66,570 columns has 35 GB
    ],
)
def test_the_cheaper_way_that_fits_is_taken(
    count: int, components: int | None, budget: int, without: bool
) -> None:
    assert _better_without_gram(count, 66_570, components, budget) is without
