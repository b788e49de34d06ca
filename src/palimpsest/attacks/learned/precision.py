"""Number format and memory layout for fast matrix products and convolutions."""

from typing import Any, Literal

import torch
from torch import nn

Precision = Literal["auto", "float32", "bfloat16"]
"""Number format of matrix products and convolutions; "auto" is bfloat16 if the hardware supports it."""


def fabric_precision(precision: Precision, device: str) -> Literal["32-true", "bf16-mixed"]:
    """Return Lightning Fabric's name of a number format.

    Args:
        precision: Number format; "auto" is resolved for this machine's hardware.
        device: "cpu" or "cuda".
    """
    fast = torch.cuda.is_bf16_supported() if device == "cuda" else _processor_has_bfloat16()
    return "bf16-mixed" if precision == "bfloat16" or (precision == "auto" and fast) else "32-true"


def use_channels_last(network: nn.Module) -> nn.Module:
    """Convert the weights, in place, to the channels-last layout, in which bfloat16 convolutions are fastest.

    Args:
        network: Any network.

    Returns:
        The same network.
    """
    move: Any = network.to  # torch's type stubs lack the argument.
    return move(memory_format=torch.channels_last)


def autocast(precision: Precision, device: str) -> torch.autocast:
    """Return the context in which a network without Fabric computes its matrix products in a number format.

    Args:
        precision: Number format; "auto" is resolved for this machine's hardware.
        device: "cpu" or "cuda".
    """
    return torch.autocast(
        device, dtype=torch.bfloat16, enabled=fabric_precision(precision, device) == "bf16-mixed"
    )


def _processor_has_bfloat16() -> bool:
    """Return whether the processor has AVX-512 instructions for bfloat16, which torch's convolutions use."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
