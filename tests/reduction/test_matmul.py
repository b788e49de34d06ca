import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.reduction.matmul import matmul_transposed


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 150), st.integers(1, 150), st.integers(1, 300), st.booleans(), st.booleans())
def test_equals_matmul_in_double_precision(
    rows: int, columns: int, inner: int, left_first: bool, right_first: bool
) -> None:
    generator = torch.Generator().manual_seed(rows)
    left = torch.randn((rows, inner) if left_first else (inner, rows), generator=generator)
    right = torch.randn((columns, inner) if right_first else (inner, columns), generator=generator)
    left, right = left if left_first else left.T, right if right_first else right.T
    exact = left.double() @ right.double().T
    lengths = left.double().norm(dim=1)[:, None] * right.double().norm(dim=1)
    assert ((matmul_transposed(left, right).double() - exact).abs() <= 1e-6 * lengths).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_are_multiplied_by_torch(dtype: torch.dtype) -> None:
    left = torch.randn(80, 9, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert torch.equal(matmul_transposed(left, left), left @ left.T)


def test_falls_back_to_torch_without_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palimpsest.reduction.matmul._HAS_ONEDNN", False)
    left = torch.randn(80, 9, generator=torch.Generator().manual_seed(0))
    assert torch.equal(matmul_transposed(left, left), left @ left.T)


@pytest.mark.parametrize("strided", ["left", "right", "both"])
def test_strided_rows_are_about_as_fast_as_contiguous_ones(strided: str) -> None:
    memory = torch.randn(200, 4096, generator=torch.Generator().manual_seed(0))
    strided_rows = memory[:, :4000]
    dense = strided_rows.contiguous()

    def seconds(left: torch.Tensor, right: torch.Tensor) -> float:
        start = time.process_time()
        for _ in range(5):
            matmul_transposed(left, right)
        return time.process_time() - start

    left, right = (
        (dense if strided == "right" else strided_rows),
        (dense if strided == "left" else strided_rows),
    )
    assert torch.equal(matmul_transposed(left, right), matmul_transposed(dense, dense))
    # oneDNN's fallback for strided rows would be a thousand times slower.
    assert seconds(left, right) < 50 * seconds(dense, dense)
