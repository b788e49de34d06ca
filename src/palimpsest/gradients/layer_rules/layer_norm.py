"""Gradient rule for layer normalization."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.gradients.layer_rules.registry import register_per_sample_rule


@register_per_sample_rule(nn.LayerNorm)
def layer_norm_gradients(
    layer: nn.LayerNorm, inputs: Tensor, grad_outputs: Tensor, out: Mapping[str, Tensor]
) -> None:
    """Write each sample's gradients; see `PerSampleRule`."""
    summed_dimensions = tuple(range(1, grad_outputs.dim() - len(layer.normalized_shape)))

    def total(values: Tensor) -> Tensor:
        return values.sum(summed_dimensions) if summed_dimensions else values

    if "weight" in out:
        normalized = F.layer_norm(inputs, layer.normalized_shape, eps=layer.eps)
        out["weight"].copy_(total(grad_outputs * normalized))
    if "bias" in out:
        out["bias"].copy_(total(grad_outputs))
