from unittest.mock import patch

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from palimpsest.reduction.centered_rows import CenteredRows


def drawn(count: int, dimension: int, seed: int) -> Tensor:
    """Vectors around a mean that is not zero, one of them nothing."""
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
def test_it_multiplies_as_the_matrix_does_that_is_never_made(
    count: int, dimension: int, some: int, directions: bool, seed: int
) -> None:
    vectors = drawn(count, dimension, seed)
    matrix = dense(vectors, directions=directions)
    generator = torch.Generator().manual_seed(seed + 1)
    weights = torch.randn(count, some, generator=generator)
    across = torch.randn(some, dimension, generator=generator)
    with (
        patch("palimpsest.reduction.centered_rows._ROWS", 7),
        patch("palimpsest.reduction.centered_rows._COLUMNS", 16),
    ):
        rows = CenteredRows.of(vectors, directions=directions)
        assert rows.shape == (count, dimension)
        for ours, exact in (
            (rows.times(across), matrix @ across.double().T),
            (rows.transposed_times(weights), weights.double().T @ matrix),
            (torch.cat([block.clone() for _, block in rows.columns()], 1), matrix),
            (rows.row_gram(), matrix @ matrix.T),
            (rows.column_gram(), matrix.T @ matrix),
            (torch.tensor(rows.variance()), matrix.square().sum()),
        ):
            torch.testing.assert_close(ours.double(), exact, rtol=1e-4, atol=2e-4)
