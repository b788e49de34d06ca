"""Gradient rules for linear layers: outer products of output gradients and inputs."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.gradients.factor_projection import FactorProjection
from palimpsest.gradients.layer_rules.registry import (
    register_batched_rule,
    register_factored_rule,
    register_per_sample_rule,
)


@register_per_sample_rule(nn.Linear)
def linear_gradients(
    layer: nn.Linear, inputs: Tensor, grad_outputs: Tensor, out: Mapping[str, Tensor]
) -> None:
    """Write each sample's gradients; see `PerSampleRule`."""
    if inputs.dim() > 2:
        inputs, grad_outputs = inputs.flatten(1, -2), grad_outputs.flatten(1, -2)
    if "weight" in out and inputs.dim() == 2:
        torch.mul(grad_outputs.unsqueeze(2), inputs.unsqueeze(1), out=out["weight"])
    elif "weight" in out:
        torch.bmm(grad_outputs.mT, inputs, out=out["weight"])
    if "bias" in out:
        out["bias"].copy_(grad_outputs if grad_outputs.dim() == 2 else grad_outputs.sum(1))


@register_factored_rule(nn.Linear)
def factored_linear_gradients(
    layer: nn.Linear, inputs: Tensor, grad_outputs: Tensor, factors: FactorProjection
) -> Tensor:
    """Project each sample's gradient of the weight; see `FactoredRule`."""
    return factors.of_outer_products(
        grad_outputs.reshape(len(inputs), -1, layer.out_features),
        inputs.reshape(len(inputs), -1, layer.in_features),
    )


def linear_forward(layer: nn.Linear, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the inputs and the layer's outputs."""
    return inputs, F.linear(inputs, layer.weight, layer.bias)


@register_batched_rule(nn.Linear, forward=linear_forward)
def linear_batch_gradients(
    layer: nn.Linear, batches: int, inputs: Tensor, grad_outputs: Tensor
) -> dict[str, Tensor]:
    """Compute each batch's gradients; see `BatchGradients`."""
    inputs = inputs.reshape(batches, -1, layer.in_features)
    grad_outputs = grad_outputs.reshape(batches, -1, layer.out_features)
    weight = grad_outputs.mT @ inputs
    return {"weight": weight} if layer.bias is None else {"weight": weight, "bias": grad_outputs.sum(1)}
