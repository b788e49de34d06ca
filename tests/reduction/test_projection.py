import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from palimpsest.errors import ConfigurationError
from palimpsest.reduction import fit_projection


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


def test_few_components_of_many_rows_capture_the_exact_variance() -> None:
    vectors = matrix(800, 900, decay=0.995)
    few = fit_projection(vectors, explained_variance=1.0, components=40, generator=generator())
    assert few.components == 40
    _, values = reference_components(vectors, 0.5)
    captured = ((vectors - few.mean) @ few.basis).square().sum()
    best = values[:40].square().sum()
    assert captured / best > 0.999
    assert few.explained[-1] == pytest.approx(float(best / values.square().sum()), rel=1e-3)


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
