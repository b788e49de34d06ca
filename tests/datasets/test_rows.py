import pytest
import torch

from palimpsest.datasets import RowSet, TokenSet
from palimpsest.errors import DatasetError

LABELS = torch.tensor([0, 1, 0])


def test_validates_on_construction() -> None:
    labels = torch.zeros(2, dtype=torch.int64)
    with pytest.raises(DatasetError, match="a value for each column"):
        RowSet("x", torch.zeros(2, 3), labels, 1, ("a", "b"))
    with pytest.raises(DatasetError, match="Pass int64 of shape"):
        TokenSet("x", torch.zeros(2, 3, dtype=torch.int64), labels[:1], 1)
    rows = RowSet("x", torch.arange(4.0).view(2, 2), labels, 1, ("a", "b"))
    assert rows.subset(torch.tensor([1])).rows.tolist() == [[2, 3]]
    with pytest.raises(DatasetError, match="no row 2"):
        rows.subset(torch.tensor([2]))


def test_shape_is_that_of_one_sample() -> None:
    rows = RowSet("x", torch.rand(3, 2), LABELS, 2, ("age", "income"))
    tokens = TokenSet("x", torch.arange(12).view(3, 4), LABELS, 2)
    assert (rows.shape, tokens.shape) == ((2,), (4,))
    assert rows.inputs is rows.rows
    assert tokens.inputs is tokens.tokens


@pytest.mark.parametrize("gap", [torch.nan, torch.inf])
def test_names_row_and_column_of_a_missing_value(gap: float) -> None:
    values = torch.rand(3, 2)
    values[1, 1] = gap
    with pytest.raises(DatasetError, match="Row 1 of x has no finite number in the column 'income'"):
        RowSet("x", values, LABELS, 2, ("age", "income"))


def test_rejects_rows_of_another_type() -> None:
    with pytest.raises(DatasetError, match=r"float64 .* Pass float32 of shape \[n, 2\]"):
        RowSet("x", torch.rand(3, 2, dtype=torch.float64), LABELS, 2, ("age", "income"))


@pytest.mark.parametrize("token", [-1, 2**20])
def test_names_the_row_of_a_token_out_of_range(token: int) -> None:
    tokens = torch.zeros(3, 4, dtype=torch.int64)
    tokens[2, 3] = token
    with pytest.raises(DatasetError, match="Row 2 of x has a token outside 0 to 1,048,575"):
        TokenSet("x", tokens, LABELS, 2)


@pytest.mark.parametrize(
    "tokens", [torch.zeros(3, dtype=torch.int64), torch.zeros(3, 0, dtype=torch.int64), torch.zeros(3, 4)]
)
def test_rejects_tokens_of_another_type_or_shape(tokens: torch.Tensor) -> None:
    with pytest.raises(DatasetError, match="padded to one length"):
        TokenSet("x", tokens, LABELS, 2)
