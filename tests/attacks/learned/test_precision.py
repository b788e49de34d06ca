import pytest
import torch
from torch import nn

from palimpsest.attacks.learned.precision import Precision, fabric_precision, laid_out, products


@pytest.mark.parametrize(
    ("precision", "fast", "dtype"),
    [
        ("float32", True, torch.float32),
        ("bfloat16", False, torch.bfloat16),
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float32),
    ],
)
def test_products_have_the_number_format_that_is_asked_for_or_fast(
    precision: Precision, fast: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": fast})
    with products(precision, "cpu"):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == dtype


def test_fabric_and_products_agree_on_the_format(monkeypatch: pytest.MonkeyPatch) -> None:
    for fast in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda fast=fast: {"avx512_bf16": fast})
        assert fabric_precision("auto", "cpu") == ("bf16-mixed" if fast else "32-true")


def test_a_network_that_is_laid_out_computes_the_same() -> None:
    network, images = nn.Conv2d(3, 4, 3), torch.rand(2, 3, 8, 8)
    before = network(images)
    moved = laid_out(network)
    assert moved is network
    assert network.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(moved(images), before)
