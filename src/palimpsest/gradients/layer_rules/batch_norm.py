"""Gradient rules for batch normalization in eval mode, which normalizes by running statistics."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.gradients.layer_rules.channel_scale import (
    scale_and_shift,
    scale_batch_gradients,
    sum_over_positions,
)
from palimpsest.gradients.layer_rules.registry import register_batched_rule, register_per_sample_rule


def _has_statistics(layer: nn.BatchNorm2d) -> bool:
    """Return True if a layer has running statistics. Without them, it mixes the samples of a batch."""
    return layer.running_mean is not None


@register_per_sample_rule(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, supports=_has_statistics)
def batch_norm_gradients(
    layer: nn.BatchNorm2d, inputs: Tensor, grad_outputs: Tensor, out: Mapping[str, Tensor]
) -> None:
    """Write each sample's gradients; see `PerSampleRule`."""
    mean, variance = layer.running_mean, layer.running_var
    assert mean is not None, "`_has_statistics` requires it"
    assert variance is not None, "a layer with a running mean has a running variance"
    # The scale is factored out of the sum. Factoring out the mean too would cancel most digits.
    centered = inputs - mean.view(1, -1, *[1] * (inputs.dim() - 2))
    if "weight" in out:
        scale = (variance + layer.eps).rsqrt()
        torch.mul(sum_over_positions(centered.mul_(grad_outputs)), scale, out=out["weight"])
    if "bias" in out:
        out["bias"].copy_(sum_over_positions(grad_outputs))


def batch_norm_forward(layer: nn.BatchNorm2d, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the normalized inputs and the layer's outputs."""
    normalized = F.batch_norm(inputs, layer.running_mean, layer.running_var, eps=layer.eps)
    return normalized, scale_and_shift(layer, normalized)


register_batched_rule(nn.BatchNorm1d, nn.BatchNorm2d, forward=batch_norm_forward, supports=_has_statistics)(
    scale_batch_gradients
)
