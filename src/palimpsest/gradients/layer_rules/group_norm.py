"""Gradient rules for group normalization."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.gradients.layer_rules.channel_scale import (
    scale_and_shift,
    scale_batch_gradients,
    sum_over_positions,
)
from palimpsest.gradients.layer_rules.registry import register_batched_rule, register_per_sample_rule


@register_per_sample_rule(nn.GroupNorm)
def group_norm_gradients(
    layer: nn.GroupNorm, inputs: Tensor, grad_outputs: Tensor, out: Mapping[str, Tensor]
) -> None:
    """Write each sample's gradients; see `PerSampleRule`."""
    if "weight" in out:
        normalized = F.group_norm(inputs, layer.num_groups, eps=layer.eps)
        out["weight"].copy_(sum_over_positions(grad_outputs * normalized))
    if "bias" in out:
        out["bias"].copy_(sum_over_positions(grad_outputs))


def group_norm_forward(layer: nn.GroupNorm, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the normalized inputs and the layer's outputs."""
    normalized = F.group_norm(inputs, layer.num_groups, eps=layer.eps)
    return normalized, scale_and_shift(layer, normalized)


register_batched_rule(nn.GroupNorm, forward=group_norm_forward)(scale_batch_gradients)
