"""Gradients of convolutions: one grouped convolution, or products with the windows of the images."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.gradients.layer_rules.registry import register_batched_rule, register_per_sample_rule
from palimpsest.gradients.unfold import Windows, unfold, unfold_channels_last

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d

# Channels that the library's convolutions process at once: the processor's vector width.
_VECTOR_CHANNELS = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8


@register_per_sample_rule(nn.Conv1d, nn.Conv2d, nn.Conv3d)
def convolution_gradients(
    layer: Convolution, inputs: Tensor, grad_outputs: Tensor, out: Mapping[str, Tensor]
) -> None:
    """Write each sample's gradients; see `PerSampleRule`."""
    padding: Any = layer.padding
    if isinstance(padding, str) or layer.padding_mode != "zeros":
        inputs, padding = pad(layer, inputs), (0,) * (inputs.dim() - 2)
    as_groups = _groups_are_faster(layer, grad_outputs)
    weight_gradients = _by_grouped_convolution if as_groups else _by_product
    weight_gradients(layer, padding, inputs.contiguous(), grad_outputs, out["weight"])
    if "bias" in out:
        out["bias"].copy_(grad_outputs.flatten(2).sum(2))


def _groups_are_faster(layer: Convolution, grad_outputs: Tensor) -> bool:
    """Whether one convolution with the samples as groups is faster than a product with each sample's windows.

    On a CPU the library's convolution multiplies twice as fast, but rearranges its result, and the product has to
    write out the windows. The constants are nanoseconds for a weight of an output channel, measured.
    """
    if not isinstance(layer, nn.Conv2d):
        return True
    if grad_outputs.device.type != "cpu" or grad_outputs.dtype != torch.float32:
        return False
    narrow = min(layer.in_channels, layer.out_channels) // layer.groups < _VECTOR_CHANNELS
    places, channels = grad_outputs[0, 0].numel(), layer.out_channels // layer.groups
    return not narrow and 0.0145 * channels * places + 0.8 * places > 0.67 * channels


def _by_grouped_convolution(
    layer: Convolution, padding: Any, inputs: Tensor, grad_outputs: Tensor, out: Tensor
) -> None:
    count, places = len(inputs), inputs.dim() - 2
    # The operator of ATen itself: `torch.nn.grad` calls it with an expanded weight, which costs 3 % of ResNet20's time.
    _, weight, _ = torch.ops.aten.convolution_backward(
        grad_outputs.reshape(1, -1, *grad_outputs.shape[2:]),
        inputs.reshape(1, -1, *inputs.shape[2:]),
        inputs.new_empty((count * layer.out_channels, *layer.weight.shape[1:])),  # only its shape is read
        None,
        layer.stride,
        padding,
        layer.dilation,
        False,
        (0,) * places,
        count * layer.groups,
        (False, True, False),
    )
    out.copy_(weight.view_as(out))


def _by_product(layer: Any, padding: Any, inputs: Tensor, grad_outputs: Tensor, out: Tensor) -> None:
    count, groups, places = len(inputs), layer.groups, grad_outputs[0, 0].numel()
    down, right = padding
    padded = F.pad(inputs, (right, right, down, down)) if down or right else inputs
    windows = unfold(padded, Windows.of(layer))
    if groups > 1:
        windows = windows.view(count * groups, -1, places)
        grad_outputs = grad_outputs.reshape(count * groups, -1, places)
        out.copy_(torch.bmm(grad_outputs, windows.mT).view_as(out))
        return
    windows, grad_outputs = windows.view(count, -1, places), grad_outputs.flatten(2)
    if windows.shape[1] < places:
        # This order is twice as fast for a color image, and its result is small to transpose.
        out.flatten(2).copy_(torch.bmm(windows, grad_outputs.mT).mT)
    else:
        torch.bmm(grad_outputs, windows.mT, out=out.flatten(2))


def pad(layer: Convolution, inputs: Tensor) -> Tensor:
    """Pad inputs as a convolution does, whatever its padding mode."""
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
    # `F.pad` takes the last dimension first.
    return F.pad(inputs, [padding for pair in reversed(sides) for padding in pair], mode=mode)


def convolution_forward(layer: nn.Conv2d, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The pixels of all windows, `[n * places, weights of an output channel]`, and the layer's outputs."""
    padded = pad(layer, inputs).movedim(1, -1).contiguous()
    windows = unfold_channels_last(padded, Windows.of(layer))
    grid, rows = windows.shape[1:3], windows.view(-1, layer.weight[0].numel())
    weight = layer.weight.permute(2, 3, 1, 0).reshape(rows.shape[1], layer.out_channels)
    outputs = rows @ weight if layer.bias is None else torch.addmm(layer.bias, rows, weight)
    return rows, outputs.view(len(inputs), *grid, layer.out_channels).movedim(-1, 1)


def _is_ungrouped(layer: nn.Conv2d) -> bool:
    return layer.groups == 1


@register_batched_rule(nn.Conv2d, forward=convolution_forward, supports=_is_ungrouped)
def convolution_batch_gradients(
    layer: nn.Conv2d, batches: int, rows: Tensor, grad_outputs: Tensor
) -> dict[str, Tensor]:
    """Each batch's gradients; see `BatchGradients`."""
    grad_outputs = grad_outputs.movedim(1, -1).reshape(batches, -1, layer.out_channels)
    weight = rows.view(batches, -1, rows.shape[1]).mT @ grad_outputs
    channels_last = weight.view(batches, *layer.kernel_size, layer.in_channels, layer.out_channels)
    gradients = {"weight": channels_last.permute(0, 4, 3, 1, 2)}
    return gradients if layer.bias is None else {**gradients, "bias": grad_outputs.sum(1)}
