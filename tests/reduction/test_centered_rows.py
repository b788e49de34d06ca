from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from palimpsest.reduction.centered_rows import CenteredRows


def random_vectors(count: int, dimension: int, seed: int) -> Tensor:
    """Draw vectors with a mean that is not zero; the first one is zero."""
    vectors = torch.randn(count, dimension, generator=torch.Generator().manual_seed(seed)) + 2.0
    vectors[0] = 0
    return vectors


def dense(vectors: Tensor, *, directions: bool) -> Tensor:
    rows = vectors.double()
    if directions:
        rows = torch.nn.functional.normalize(rows)
    return rows - rows.mean(0)


@settings(max_examples=30)
@given(st.integers(2, 40), st.integers(1, 50), st.integers(1, 5), st.booleans(), st.integers(0, 9))
def test_equals_the_dense_matrix(
    count: int, dimension: int, columns: int, directions: bool, seed: int
) -> None:
    vectors = random_vectors(count, dimension, seed)
    matrix = dense(vectors, directions=directions)
    generator = torch.Generator().manual_seed(seed + 1)
    weights = torch.randn(count, columns, generator=generator)
    rows_to_multiply = torch.randn(columns, dimension, generator=generator)
    with (
        patch("palimpsest.reduction.centered_rows._ROWS", 7),
        patch("palimpsest.reduction.centered_rows._COLUMNS", 16),
        patch("palimpsest.reduction.centered_rows._SUM_ROWS", 5),
        patch("palimpsest.reduction.centered_rows._MAX_COPY_ELEMENTS", 3 * dimension),
    ):
        rows = CenteredRows.of(vectors, directions=directions)
        assert rows.shape == (count, dimension)
        for implicit, exact in (
            (rows.times(rows_to_multiply), matrix @ rows_to_multiply.double().T),
            (rows.transposed_times(weights), weights.double().T @ matrix),
            (torch.cat([block.clone() for _, block in rows.columns()], 1), matrix),
            (rows.row_gram(), matrix @ matrix.T),
            (rows.column_gram(), matrix.T @ matrix),
            (torch.tensor(rows.variance()), matrix.square().sum()),
        ):
            torch.testing.assert_close(implicit.double(), exact, rtol=1e-4, atol=2e-4)


def test_blocks_of_gram_matrices_are_summed_in_float64() -> None:
    # In float32, 1e8 + 1 is 1e8, so the small squares would be lost.
    values = torch.cat([torch.tensor([1e4]), torch.ones(100)])
    with (
        patch("palimpsest.reduction.centered_rows._ROWS", 2),
        patch("palimpsest.reduction.centered_rows._COLUMNS", 1),
    ):
        row_gram = CenteredRows.of(torch.stack([values, -values]), directions=False).row_gram()
        pairs = torch.stack([values, -values], 1).reshape(-1, 1)
        column_gram = CenteredRows.of(pairs, directions=False).column_gram()
    assert row_gram.tolist() == [[1e8 + 100, -1e8 - 100], [-1e8 - 100, 1e8 + 100]]
    assert column_gram.tolist() == [[2e8 + 200]]


def test_directions_do_not_depend_on_the_lengths_of_vectors() -> None:
    vectors = random_vectors(8, 20, 0)
    short, long = (
        CenteredRows.of(factor * vectors, directions=True).row_gram() for factor in (2.0**-20, 2.0**10)
    )
    torch.testing.assert_close(short, long, rtol=1e-5, atol=1e-6)


def test_rejects_weights_or_scales_of_another_number_of_rows() -> None:
    rows = CenteredRows.of(random_vectors(21, 5, 0), directions=False)
    truncated = CenteredRows(rows.vectors, rows.scale[:14], rows.mean)
    with (
        patch("palimpsest.reduction.centered_rows._ROWS", 7),
        patch("palimpsest.reduction.centered_rows._MAX_COPY_ELEMENTS", 7 * 5),
    ):
        with pytest.raises(ValueError, match="zip"):
            rows.transposed_times(torch.ones(14, 2))
        with pytest.raises(ValueError, match="zip"):
            truncated.times(torch.ones(2, 5))
        with pytest.raises(ValueError, match="zip"):
            truncated.variance()
