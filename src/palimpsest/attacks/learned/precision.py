"""In which number format a network's products are computed, and in which layout that is fastest."""

from typing import Any, Literal

import torch
from torch import nn

Precision = Literal["auto", "float32", "bfloat16"]
"""auto takes bfloat16 where the processor multiplies it."""


def fabric_precision(precision: Precision, device: str) -> Literal["32-true", "bf16-mixed"]:
    """Lightning Fabric's name of the number format."""
    fast = torch.cuda.is_bf16_supported() if device == "cuda" else torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if precision == "bfloat16" or (precision == "auto" and fast) else "32-true"


def laid_out(network: nn.Module) -> nn.Module:
    """The same network, its weights in the layout in which bfloat16 convolutions are fastest."""
    move: Any = network.to  # its stubs do not know the layout
    return move(memory_format=torch.channels_last)


def products(precision: Precision, device: str) -> torch.autocast:
    """The context in which a network outside Fabric has its products in that number format."""
    return torch.autocast(
        device, dtype=torch.bfloat16, enabled=fabric_precision(precision, device) == "bf16-mixed"
    )
