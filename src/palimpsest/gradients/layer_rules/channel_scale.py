"""Scale and shift of each channel, the last step of batch and group normalization, and their gradients."""

import torch
from torch import Tensor, nn


def sum_over_positions(values: Tensor) -> Tensor:
    """Sum `[n, channels, ...]` over all dimensions but the first two."""
    positions = tuple(range(2, values.dim()))
    return values.sum(positions) if positions else values


def scale_and_shift(layer: nn.BatchNorm2d | nn.GroupNorm, normalized: Tensor) -> Tensor:
    """Multiply each channel of `[n, channels, ...]` by the layer's weight and add the layer's bias."""
    shape = -1, *[1] * (normalized.dim() - 2)
    if layer.bias is None:
        return normalized * layer.weight.view(shape)
    return torch.addcmul(layer.bias.view(shape), normalized, layer.weight.view(shape))


def scale_batch_gradients(
    layer: nn.BatchNorm2d | nn.GroupNorm, batches: int, normalized: Tensor, grad_outputs: Tensor
) -> dict[str, Tensor]:
    """Compute each batch's gradients of weight and bias; see `BatchGradients`."""

    def total(values: Tensor) -> Tensor:
        return values.reshape(batches, -1, values.shape[1], values[0, 0].numel()).sum((1, 3))

    weight = total(grad_outputs * normalized)
    return {"weight": weight} if layer.bias is None else {"weight": weight, "bias": total(grad_outputs)}
