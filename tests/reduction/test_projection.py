import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from palimpsest.errors import ConfigurationError
from palimpsest.reduction import fit_projection
from palimpsest.reduction.projection import _better_without_gram


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def matrix(count: int, dimension: int, *, decay: float = 0.9, shift: float = 3.0, seed: int = 0) -> Tensor:
    """Return a matrix whose singular values fall by the factor `decay`, with a mean that is not zero."""
    source = torch.Generator().manual_seed(seed)
    left = torch.linalg.qr(torch.randn(count, min(count, dimension), generator=source, dtype=torch.float64)).Q
    right = torch.linalg.qr(
        torch.randn(dimension, min(count, dimension), generator=source, dtype=torch.float64)
    ).Q
    values = 100 * decay ** torch.arange(min(count, dimension), dtype=torch.float64)
    return ((left * values) @ right.T + shift).float()


def reference_components(vectors: Tensor, share: float) -> tuple[int, Tensor]:
    """Apply Eqs. 4 and 5 literally: SVD of the centered matrix, smallest j with a sufficient share (correct, slow)."""
    centered = vectors.double() - vectors.double().mean(0)
    values = torch.linalg.svdvals(centered).square()
    for j in range(1, len(values) + 1):
        if values[:j].sum() / values.sum() >= share:
            return j, values.sqrt()
    raise AssertionError


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([(20, 60), (60, 20), (30, 30)]), st.sampled_from([0.5, 0.8, 0.95, 0.99]))
def test_keeps_the_fewest_directions_that_explain_enough(shape: tuple[int, int], share: float) -> None:
    vectors = matrix(*shape)
    projection = fit_projection(vectors, explained_variance=share, generator=generator())
    k, values = reference_components(vectors, share)
    assert projection.components == k
    torch.testing.assert_close(projection.singular_values.double(), values[:k], rtol=1e-3, atol=1e-3)
    assert projection.explained[-1] >= share - 1e-6


@pytest.mark.parametrize("shape", [(20, 60), (60, 20)])
def test_the_basis_is_orthonormal_and_spans_the_right_singular_vectors(shape: tuple[int, int]) -> None:
    vectors = matrix(*shape)
    projection = fit_projection(vectors, explained_variance=0.9, generator=generator())
    k = projection.components
    torch.testing.assert_close(projection.basis.T @ projection.basis, torch.eye(k), rtol=0, atol=1e-4)
    exact = torch.linalg.svd(vectors.double() - vectors.double().mean(0), full_matrices=False).Vh[:k]
    overlap = torch.linalg.svdvals(exact @ projection.basis.double())
    torch.testing.assert_close(overlap, torch.ones(k, dtype=torch.float64), rtol=0, atol=1e-4)


def test_transform_does_not_center_vectors() -> None:
    vectors = matrix(20, 60)
    projection = fit_projection(vectors, explained_variance=0.99, generator=generator())
    projected = projection.transform(vectors)
    torch.testing.assert_close(projected, vectors @ projection.basis)
    torch.testing.assert_close(projection.transform(vectors[3:5]), projected[3:5])
    shift = projected - (vectors - projection.mean) @ projection.basis
    torch.testing.assert_close(
        shift, (projection.mean @ projection.basis).expand_as(shift), rtol=0, atol=1e-3
    )


def test_ranges_of_columns_add_up_to_the_projection_and_can_be_subtracted() -> None:
    vectors = matrix(20, 60)
    projection = fit_projection(vectors, explained_variance=0.99, generator=generator())
    result = torch.zeros(20, projection.components)
    ranges = [(0, 7), (7, 30), (30, 60)]
    for start, stop in ranges:
        projection.add(result, vectors[:, start:stop], start=start)
    torch.testing.assert_close(result, projection(vectors), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(projection(vectors), vectors @ projection.basis)
    for start, stop in ranges:
        projection.add(result, vectors[:, start:stop], start=start, sign=-1)
    torch.testing.assert_close(result, torch.zeros_like(result), rtol=0, atol=1e-3)


def axis_pairs(lengths: list[float], dimension: int) -> Tensor:
    """Return v and -v on each axis. The Gram matrix is diagonal with 2 v^2, and float32 adds no rounding errors."""
    values = torch.zeros(dimension)
    values[: len(lengths)] = torch.tensor(lengths)
    return torch.cat([torch.diag(values), -torch.diag(values)])


def test_a_share_that_is_reached_exactly_needs_no_further_direction() -> None:
    found = fit_projection(axis_pairs([3.0, 1.0], 2), explained_variance=0.9, generator=generator())
    assert found.components == 1
    assert found.explained.tolist() == pytest.approx([0.9])
    assert found.singular_values.tolist() == pytest.approx([18**0.5])


@pytest.mark.parametrize(
    ("lengths", "components"),
    [
        # The limit is 1e-7 times the largest eigenvalue times the square root of 100, the smaller side.
        ([1.0, 1.1e-3, 0.95e-3], 2),
        ([1.0, 0.95e-3], 1),
        ([1.0, 1e-4, 1e-4], 1),
    ],
)
def test_omits_directions_below_the_rounding_errors_of_the_largest(
    lengths: list[float], components: int
) -> None:
    found = fit_projection(axis_pairs(lengths, 100), explained_variance=1.0, generator=generator())
    assert found.components == components


@pytest.mark.parametrize("shape", [(20, 60), (60, 20)])
def test_the_number_of_directions_does_not_depend_on_the_scale(shape: tuple[int, int]) -> None:
    vectors, factor = matrix(*shape), 2.0**-20
    large = fit_projection(vectors, explained_variance=0.9, generator=generator())
    small = fit_projection(factor * vectors, explained_variance=0.9, generator=generator())
    assert small.components == large.components > 1
    torch.testing.assert_close(small.explained, large.explained)
    torch.testing.assert_close(small.singular_values, factor * large.singular_values, rtol=1e-4, atol=0)


def test_two_vectors_give_the_direction_between_them() -> None:
    found = fit_projection(torch.tensor([[1.0, 1.0], [4.0, 5.0]]), generator=generator())
    assert found.components == 1
    torch.testing.assert_close(found.basis.abs(), torch.tensor([[0.6], [0.8]]))
    torch.testing.assert_close(found.singular_values, torch.tensor([12.5**0.5]))


def test_few_components_of_many_rows_capture_the_exact_variance() -> None:
    vectors = matrix(800, 900, decay=0.995)
    few = fit_projection(vectors, explained_variance=1.0, components=40, generator=generator())
    assert few.components == 40
    _, values = reference_components(vectors, 0.5)
    captured = ((vectors - few.mean) @ few.basis).square().sum()
    best = values[:40].square().sum()
    assert captured / best > 0.999
    assert few.explained[-1] == pytest.approx(float(best / values.square().sum()), rel=1e-3)


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


@pytest.mark.parametrize(
    ("count", "dimension", "components", "without_gram"),
    [
        # Wide: 3 passes of 2 matmuls with 8 more directions, against half of a matmul with all rows.
        (480, 100_000, 31, True),
        (480, 100_000, 32, False),
        (480, 480, 31, True),
        (480, 480, 32, False),
        # Tall: against a whole matmul with all columns.
        (1000, 240, 31, True),
        (1000, 240, 32, False),
    ],
)
def test_iterates_only_if_this_takes_fewer_multiplications(
    count: int, dimension: int, components: int, without_gram: bool
) -> None:
    assert _better_without_gram(count, dimension, components, 2**32) is without_gram


@pytest.mark.parametrize("shape", [(100, 200), (200, 100)])
def test_a_gram_matrix_takes_four_copies_in_float64(shape: tuple[int, int]) -> None:
    assert not _better_without_gram(*shape, None, 4 * 8 * 100**2)
    assert _better_without_gram(*shape, None, 4 * 8 * 100**2 - 1)


def test_chunks_give_the_same_basis() -> None:
    vectors = matrix(20, 60)
    whole = fit_projection(vectors, explained_variance=0.9, generator=generator())
    chunked = fit_projection(vectors.split(7), explained_variance=0.9, generator=generator())
    assert torch.equal(whole.basis, chunked.basis)


def test_components_limit_the_directions() -> None:
    assert (
        fit_projection(
            matrix(20, 60), explained_variance=0.99, components=3, generator=generator()
        ).components
        == 3
    )


def test_rank_bounds_the_directions() -> None:
    rank_generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(30, 2, generator=rank_generator) @ torch.randn(2, 50, generator=rank_generator)
    assert fit_projection(vectors, explained_variance=1.0, generator=generator()).components == 2


def test_equal_vectors_give_one_direction_and_no_nan() -> None:
    projection = fit_projection(torch.ones(5, 9), generator=generator())
    assert projection.components == 1
    assert projection.basis.isfinite().all()


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1])
def test_rejects_a_share_out_of_range(share: float) -> None:
    with pytest.raises(ConfigurationError, match="above 0 and at most 1"):
        fit_projection(matrix(5, 9), explained_variance=share, generator=generator())


def test_rejects_a_single_vector() -> None:
    with pytest.raises(ConfigurationError, match="at least two"):
        fit_projection(torch.ones(1, 9), generator=generator())
