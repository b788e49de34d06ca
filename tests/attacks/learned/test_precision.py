import pytest
import torch
from torch import nn

from palimpsest.attacks.learned.precision import Precision, autocast, fabric_precision, use_channels_last


@pytest.mark.parametrize(
    ("precision", "fast", "dtype"),
    [
        ("float32", True, torch.float32),
        ("bfloat16", False, torch.bfloat16),
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float32),
    ],
)
def test_autocast_uses_the_requested_or_the_fast_format(
    precision: Precision, fast: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": fast})
    with autocast(precision, "cpu"):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == dtype


def test_auto_is_bfloat16_only_on_fast_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    for fast in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda fast=fast: {"avx512_bf16": fast})
        assert fabric_precision("auto", "cpu") == ("bf16-mixed" if fast else "32-true")


def test_channels_last_does_not_change_the_outputs() -> None:
    network, images = nn.Conv2d(3, 4, 3), torch.rand(2, 3, 8, 8)
    before = network(images)
    converted = use_channels_last(network)
    assert converted is network
    assert network.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(converted(images), before)
