"""Gradient rules for convolutions: one grouped convolution, a matmul with the patches of the inputs, or few filters."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.gradients.factor_projection import FactorProjection
from palimpsest.gradients.layer_rules.registry import (
    register_batched_rule,
    register_factored_rule,
    register_per_sample_rule,
)
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
    inputs, padding = _numeric_padding(layer, inputs)
    use_groups = _groups_are_faster(layer, grad_outputs)
    weight_gradients = _by_grouped_convolution if use_groups else _by_matmul
    weight_gradients(layer, padding, inputs.contiguous(), grad_outputs, out["weight"])


@register_factored_rule(nn.Conv1d, nn.Conv2d, nn.Conv3d)
def factored_convolution_gradients(
    layer: Convolution, inputs: Tensor, grad_outputs: Tensor, factors: FactorProjection
) -> Tensor:
    """Project each sample's gradient of the weight; see `FactoredRule`.

    The inputs' projected patches are a convolution with the columns of the projection as filters.
    """
    inputs, padding = _numeric_padding(layer, inputs)
    patch, groups = layer.weight.shape[1:], layer.groups
    matrix = torch.eye(patch.numel()).to(inputs) if factors.inputs is None else factors.inputs
    filters = matrix.T.reshape(-1, *patch).repeat(groups, *[1] * len(patch))
    no_padding = (0,) * len(layer.kernel_size)
    patches = torch.convolution(
        inputs, filters, None, layer.stride, padding, layer.dilation, False, no_padding, groups
    )
    if groups > 1:
        # A group's patches meet its own outputs only, so the outputs are projected last.
        count = len(inputs) * groups
        by_group = torch.bmm(
            grad_outputs.reshape(count, -1, grad_outputs[0, 0].numel()),
            patches.reshape(count, matrix.shape[1], -1).mT,
        )
        return factors.of_output_gradients(by_group.view(len(inputs), layer.out_channels, -1).mT).mT
    if _are_channels_last(grad_outputs) and _are_channels_last(patches):
        # The channels of a position are adjacent in memory, and these are views.
        grad_outputs, patches = (tensor.movedim(1, -1).flatten(1, -2) for tensor in (grad_outputs, patches))
        return factors.of_output_gradients(grad_outputs).mT @ patches
    grad_outputs = grad_outputs.flatten(2)
    projected = grad_outputs if factors.outputs is None else factors.outputs.T @ grad_outputs
    return projected @ patches.flatten(2).mT


def _are_channels_last(images: Tensor) -> bool:
    return images.dim() == 4 and images.is_contiguous(memory_format=torch.channels_last)


def _numeric_padding(layer: Convolution, inputs: Tensor) -> tuple[Tensor, Any]:
    """Return inputs and the padding that is left to do with zeros: padding in another form is done here."""
    padding: Any = layer.padding
    if isinstance(padding, str) or layer.padding_mode != "zeros":
        return pad(layer, inputs), (0,) * (inputs.dim() - 2)
    return inputs, padding


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
