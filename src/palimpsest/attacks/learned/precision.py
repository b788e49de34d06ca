"""Number format and memory layout in which a network is fastest."""

from typing import Any, Literal

import torch
from torch import nn

Precision = Literal["auto", "float32", "bfloat16"]
"""Number format of matrix products and convolutions; "auto" takes bfloat16 where the processor multiplies it."""


def fabric_precision(precision: Precision, device: str) -> Literal["32-true", "bf16-mixed"]:
    """Lightning Fabric's name of a number format.

    Args:
        precision: The format; "auto" is resolved on this machine.
        device: "cpu" or "cuda".
    """
    fast = torch.cuda.is_bf16_supported() if device == "cuda" else _processor_has_bfloat16()
    return "bf16-mixed" if precision == "bfloat16" or (precision == "auto" and fast) else "32-true"


def laid_out(network: nn.Module) -> nn.Module:
    """Put the weights, in place, into the memory layout in which bfloat16 convolutions are fastest.

    Returns:
        The same network.
    """
    move: Any = network.to  # torch's stubs lack the layout.
    return move(memory_format=torch.channels_last)


def products(precision: Precision, device: str) -> torch.autocast:
    """Make the context in which a network outside Fabric computes its products in a number format.

    Args:
        precision: The format.
        device: "cpu" or "cuda".
    """
    return torch.autocast(
        device, dtype=torch.bfloat16, enabled=fabric_precision(precision, device) == "bf16-mixed"
    )


def _processor_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 by AVX-512, which torch's convolutions use."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
