from unittest.mock import patch

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
