import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from palimpsest.errors import ResourceError
from palimpsest.gradients import fit_projection
from palimpsest.gradients.reduction import _better_without_gram
from palimpsest.gradients.subspace import leading_directions

# Room for some directions, and for no Gram matrix of these vectors.
SMALL = 2**20


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def falling(count: int, dimension: int, *, power: float, seed: int = 0) -> Tensor:
    """Vectors whose singular values fall like a power of their number, around a mean that is not zero."""
    vectors = torch.randn(count, dimension, generator=generator(seed))
    return vectors * (torch.arange(dimension) + 1.0) ** -power + 0.5


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
    # What is told of them is what they capture of all that there is.
    told = captured(rows, found.basis) / float(exact.S.square().sum())
    assert float(found.explained[-1]) == pytest.approx(told, rel=1e-4)


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


def test_the_squares_are_those_of_the_singular_values() -> None:
    vectors = falling(300, 500, power=1.0)
    zeros = torch.zeros(500)
    squares, _, total = leading_directions(
        vectors,
        torch.ones(300),
        zeros,
        components=5,
        share=1.0,
        memory_budget=2**30,
        generator=generator(),
    )
    assert total == pytest.approx(float(vectors.double().square().sum()), rel=1e-5)
    torch.testing.assert_close(
        squares[:5], torch.linalg.svdvals(vectors.double())[:5] ** 2, rtol=1e-4, atol=0
    )


@pytest.mark.parametrize(
    ("count", "components", "budget", "without"),
    [
        (4000, 30, 2**32, True),  # ten products with 94 directions, or half of one with 4,000
        (4000, 200, 2**32, False),
        (4000, None, 2**32, False),
        (100_000, None, 2**32, True),  # the Gram matrix of 66,570 columns has 35 GB
    ],
)
def test_the_cheaper_way_that_fits_is_taken(
    count: int, components: int | None, budget: int, without: bool
) -> None:
    assert _better_without_gram(count, 66_570, components, budget) is without
