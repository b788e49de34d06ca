"""Gradient rules for convolutions: one grouped convolution, or a matmul with the patches of the inputs."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.gradients.layer_rules.registry import register_batched_rule, register_per_sample_rule
from palimpsest.gradients.unfold import PatchGeometry, unfold, unfold_channels_last

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d

# Number of channels that the library's convolutions process at once: the vector width of the processor.
_VECTOR_CHANNELS = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8


@register_per_sample_rule(nn.Conv1d, nn.Conv2d, nn.Conv3d)
def convolution_gradients(
    layer: Convolution, inputs: Tensor, grad_outputs: Tensor, out: Mapping[str, Tensor]
) -> None:
    """Write each sample's gradients; see `PerSampleRule`."""
    if "bias" in out:
        out["bias"].copy_(grad_outputs.flatten(2).sum(2))
    if "weight" not in out:
        return
    padding: Any = layer.padding
    if isinstance(padding, str) or layer.padding_mode != "zeros":
        inputs, padding = pad(layer, inputs), (0,) * (inputs.dim() - 2)
    use_groups = _groups_are_faster(layer, grad_outputs)
    weight_gradients = _by_grouped_convolution if use_groups else _by_matmul
    weight_gradients(layer, padding, inputs.contiguous(), grad_outputs, out["weight"])


def _groups_are_faster(layer: Convolution, grad_outputs: Tensor) -> bool:
    """Return True if one convolution with the samples as groups is faster than a matmul with each sample's patches.

    On a CPU, the library's convolution multiplies twice as fast but rearranges its result, while the matmul has to copy
    the patches first. The constants are measured times in nanoseconds for each weight of an output channel.
    """
    if not isinstance(layer, nn.Conv2d):
        return True
    if grad_outputs.device.type != "cpu" or grad_outputs.dtype != torch.float32:
        return False
    narrow = min(layer.in_channels, layer.out_channels) // layer.groups < _VECTOR_CHANNELS
    positions, channels = grad_outputs[0, 0].numel(), layer.out_channels // layer.groups
    return not narrow and 0.0145 * channels * positions + 0.8 * positions > 0.67 * channels


def _by_grouped_convolution(
    layer: Convolution, padding: Any, inputs: Tensor, grad_outputs: Tensor, out: Tensor
) -> None:
    """Write the gradients of the weight, computed as one convolution with the samples as groups."""
    count, dimensions = len(inputs), inputs.dim() - 2
    # `torch.nn.grad` calls the same ATen operator, but with an expanded weight, which costs 3 % of ResNet20's time.
    _, weight, _ = torch.ops.aten.convolution_backward(
        grad_outputs.reshape(1, -1, *grad_outputs.shape[2:]),
        inputs.reshape(1, -1, *inputs.shape[2:]),
        inputs.new_empty((count * layer.out_channels, *layer.weight.shape[1:])),  # only the shape is used
        None,
        layer.stride,
        padding,
        layer.dilation,
        False,
        (0,) * dimensions,
        count * layer.groups,
        (False, True, False),
    )
    out.copy_(weight.view_as(out))


def _by_matmul(layer: Any, padding: Any, inputs: Tensor, grad_outputs: Tensor, out: Tensor) -> None:
    """Write the gradients of the weight, computed as a matmul of output gradients and patches."""
    count, groups, positions = len(inputs), layer.groups, grad_outputs[0, 0].numel()
    vertical, horizontal = padding
    padded = F.pad(inputs, (horizontal, horizontal, vertical, vertical)) if vertical or horizontal else inputs
    patches = unfold(padded, PatchGeometry.of(layer))
    if groups > 1:
        patches = patches.view(count * groups, -1, positions)
        grad_outputs = grad_outputs.reshape(count * groups, -1, positions)
        out.copy_(torch.bmm(grad_outputs, patches.mT).view_as(out))
        return
    patches, grad_outputs = patches.view(count, -1, positions), grad_outputs.flatten(2)
    if patches.shape[1] < positions:
        # This order is twice as fast for color images, and its result is small enough to transpose cheaply.
        out.flatten(2).copy_(torch.bmm(patches, grad_outputs.mT).mT)
    else:
        torch.bmm(grad_outputs, patches.mT, out=out.flatten(2))


def pad(layer: Convolution, inputs: Tensor) -> Tensor:
    """Pad inputs as a convolution does, in any padding mode."""
    sides = [(0, 0)] * (inputs.dim() - 2)
    if layer.padding == "same":
        totals = [
            dilation * (kernel - 1)
            for dilation, kernel in zip(layer.dilation, layer.kernel_size, strict=True)
        ]
        sides = [(total // 2, total - total // 2) for total in totals]
    elif not isinstance(layer.padding, str):
        sides = [(padding, padding) for padding in layer.padding]
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    # `F.pad` expects the last dimension first.
    return F.pad(inputs, [padding for pair in reversed(sides) for padding in pair], mode=mode)


def convolution_forward(layer: nn.Conv2d, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the pixels of all patches, `[n * positions, weights of an output channel]`, and the layer's outputs."""
    padded = pad(layer, inputs).movedim(1, -1).contiguous()
    patches = unfold_channels_last(padded, PatchGeometry.of(layer))
    output_size, rows = patches.shape[1:3], patches.view(-1, layer.weight[0].numel())
    weight = layer.weight.permute(2, 3, 1, 0).reshape(rows.shape[1], layer.out_channels)
    outputs = rows @ weight if layer.bias is None else torch.addmm(layer.bias, rows, weight)
    return rows, outputs.view(len(inputs), *output_size, layer.out_channels).movedim(-1, 1)


def _is_ungrouped(layer: nn.Conv2d) -> bool:
    """Return True if a layer has one group."""
    return layer.groups == 1


@register_batched_rule(nn.Conv2d, forward=convolution_forward, supports=_is_ungrouped)
def convolution_batch_gradients(
    layer: nn.Conv2d, batches: int, rows: Tensor, grad_outputs: Tensor
) -> dict[str, Tensor]:
    """Compute each batch's gradients; see `BatchGradients`."""
    grad_outputs = grad_outputs.movedim(1, -1).reshape(batches, -1, layer.out_channels)
    weight = rows.view(batches, -1, rows.shape[1]).mT @ grad_outputs
    channels_last = weight.view(batches, *layer.kernel_size, layer.in_channels, layer.out_channels)
    gradients = {"weight": channels_last.permute(0, 4, 3, 1, 2)}
    return gradients if layer.bias is None else {**gradients, "bias": grad_outputs.sum(1)}
