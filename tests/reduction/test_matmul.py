import time
from importlib.util import module_from_spec
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.reduction import matmul
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


needs_onednn = pytest.mark.skipif(not matmul._HAS_ONEDNN, reason="torch was built without oneDNN")


def test_a_torch_without_onednn_is_recognized(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: False)
    spec = matmul.__spec__
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert not module._HAS_ONEDNN


@needs_onednn
@pytest.mark.parametrize(
    ("left_type", "right_type", "left_rows", "right_rows", "uses_onednn"),
    [
        (torch.float32, torch.float32, 64, 64, True),
        (torch.float32, torch.float32, 63, 500, False),
        (torch.float32, torch.float32, 500, 63, False),
        (torch.float64, torch.float64, 64, 64, False),
    ],
)
def test_only_large_matrices_in_float32_are_multiplied_by_onednn(
    left_type: torch.dtype, right_type: torch.dtype, left_rows: int, right_rows: int, uses_onednn: bool
) -> None:
    left, right = torch.ones(left_rows, 9, dtype=left_type), torch.ones(right_rows, 9, dtype=right_type)
    with patch.object(torch.ops.mkldnn, "_linear_pointwise", return_value=torch.tensor(7)) as onednn:
        found = matmul_transposed(left, right)
    assert bool(onednn.called) is uses_onednn
    assert found.shape == (() if uses_onednn else (left_rows, right_rows))


@needs_onednn
@pytest.mark.parametrize("transposed", [False, True])
def test_dense_matrices_are_not_copied(transposed: bool) -> None:
    right = torch.ones(9, 80).T if transposed else torch.ones(80, 9)
    with patch.object(torch.ops.mkldnn, "_linear_pointwise") as onednn:
        matmul_transposed(torch.ones(80, 9), right)
    assert onednn.call_args.args[1] is right


@needs_onednn
def test_matrices_on_other_devices_are_multiplied_by_torch() -> None:
    left = torch.ones(80, 9, device="meta")
    with patch.object(torch.ops.mkldnn, "_linear_pointwise") as onednn:
        assert matmul_transposed(left, left).shape == (80, 80)
    assert not onednn.called


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
