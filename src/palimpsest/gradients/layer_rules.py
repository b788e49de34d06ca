"""The gradients of one layer's parameters for each sample, from what went in and what was pulled back at its output."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Rule = Callable[[Any, Tensor, Tensor, Mapping[str, Tensor]], None]
"""From a layer, its inputs `[n, ...]` and the loss's gradients at its outputs `[n, ...]`, write the gradients of its
parameters, by name, into `[n, *shape]` each."""

_BatchNorm = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_Convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
# Channels of a layer that the library's convolutions are made for: what the processor takes at once.
_WIDTH = 16 if torch.backends.cpu.get_cpu_capability() == "AVX512" else 8


def find_rule(layer: nn.Module) -> Rule | None:
    """The rule for a layer; none where it is another type of layer, if only a subclass, or an unusual one."""
    rule = _RULES.get(type(layer))
    if isinstance(layer, _BatchNorm) and layer.running_mean is None:
        return None  # it would mix samples
    if isinstance(layer, nn.Embedding) and (layer.max_norm is not None or layer.scale_grad_by_freq):
        return None  # it changes its weights, or counts over the batch
    return rule


def _linear(layer: nn.Linear, inputs: Tensor, pulled: Tensor, out: Mapping[str, Tensor]) -> None:
    if inputs.dim() == 2:
        torch.mul(pulled.unsqueeze(2), inputs.unsqueeze(1), out=out["weight"])
    else:
        inputs, pulled = inputs.flatten(1, -2), pulled.flatten(1, -2)
        torch.bmm(pulled.mT, inputs, out=out["weight"])
    if "bias" in out:
        out["bias"].copy_(pulled if pulled.dim() == 2 else pulled.sum(1))


def _convolution(
    layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, inputs: Tensor, pulled: Tensor, out: Mapping[str, Tensor]
) -> None:
    padding: Any = layer.padding
    if isinstance(padding, str) or layer.padding_mode != "zeros":
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        inputs = F.pad(inputs, layer._reversed_padding_repeated_twice, mode=mode)
        padding = (0,) * (inputs.dim() - 2)
    way = _as_one_convolution if _one_convolution_is_faster(layer, pulled) else _as_product
    way(layer, padding, inputs.contiguous(), pulled, out["weight"])
    if "bias" in out:
        out["bias"].copy_(pulled.flatten(2).sum(2))


def _one_convolution_is_faster(layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, pulled: Tensor) -> bool:
    """Whether to take the samples for groups of one convolution, or multiply matrices of their patches.

    On a CPU the library's convolution multiplies twice as fast, but rearranges its result, where the product has to
    write out the patches. The numbers are nanoseconds for a weight of an output channel, measured.
    """
    if not isinstance(layer, nn.Conv2d):
        return True
    if pulled.device.type != "cpu" or pulled.dtype != torch.float32:
        return False
    narrow = min(layer.in_channels, layer.out_channels) // layer.groups < _WIDTH
    places, channels = pulled[0, 0].numel(), layer.out_channels // layer.groups
    return not narrow and 0.0145 * channels * places + 0.8 * places > 0.67 * channels


def _as_one_convolution(
    layer: nn.Conv1d | nn.Conv2d | nn.Conv3d, padding: Any, inputs: Tensor, pulled: Tensor, out: Tensor
) -> None:
    count, places = len(inputs), inputs.dim() - 2
    shape = (count * layer.out_channels, *layer.weight.shape[1:])
    # Of the weights only the shape is looked at.
    _, weight, _ = torch.ops.aten.convolution_backward(
        pulled.reshape(1, -1, *pulled.shape[2:]),
        inputs.reshape(1, -1, *inputs.shape[2:]),
        inputs.new_empty(shape),
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


def _as_product(layer: Any, padding: Any, inputs: Tensor, pulled: Tensor, out: Tensor) -> None:
    count, groups, places = len(inputs), layer.groups, pulled[0, 0].numel()
    patches = _patches(inputs, pulled.shape[2:], layer, padding)
    if groups > 1:
        patches, outputs = (
            patches.view(count * groups, -1, places),
            pulled.reshape(count * groups, -1, places),
        )
        out.copy_(torch.bmm(outputs, patches.mT).view_as(out))
        return
    patches, outputs = patches.view(count, -1, places), pulled.flatten(2)
    if patches.shape[1] < places:
        # The other way round is twice as fast for a colour image, and its result is small to turn.
        out.flatten(2).copy_(torch.bmm(patches, outputs.mT).mT)
    else:
        torch.bmm(outputs, patches.mT, out=out.flatten(2))


def _patches(inputs: Tensor, size: torch.Size, layer: nn.Conv2d, padding: Any) -> Tensor:
    """What each weight of a kernel is multiplied with, `[n, channels, *kernel, *size]`."""
    (down, right), (height, width) = padding, layer.kernel_size
    padded = F.pad(inputs, (right, right, down, down)) if down or right else inputs
    sample, channel, row, column = padded.stride()
    (stride_y, stride_x), (dilation_y, dilation_x) = layer.stride, layer.dilation
    windows = padded.as_strided(
        (*inputs.shape[:2], height, width, *size),
        (sample, channel, dilation_y * row, dilation_x * column, stride_y * row, stride_x * column),
    )
    return windows.contiguous()


def _batch_norm(layer: nn.BatchNorm2d, inputs: Tensor, pulled: Tensor, out: Mapping[str, Tensor]) -> None:
    mean, variance = layer.running_mean, layer.running_var
    assert mean is not None, "refused by `find_rule`"
    assert variance is not None, "there is one with a mean"
    # The scale is taken out of the sum; the mean is not, so that nothing cancels.
    centred = inputs - mean.view(1, -1, *[1] * (inputs.dim() - 2))
    torch.mul(_sums(centred.mul_(pulled), 2), (variance + layer.eps).rsqrt(), out=out["weight"])
    out["bias"].copy_(_sums(pulled, 2))


def _group_norm(layer: nn.GroupNorm, inputs: Tensor, pulled: Tensor, out: Mapping[str, Tensor]) -> None:
    normal = F.group_norm(inputs, layer.num_groups, eps=layer.eps)
    out["weight"].copy_(_sums(pulled * normal, 2))
    out["bias"].copy_(_sums(pulled, 2))


def _layer_norm(layer: nn.LayerNorm, inputs: Tensor, pulled: Tensor, out: Mapping[str, Tensor]) -> None:
    normal = F.layer_norm(inputs, layer.normalized_shape, eps=layer.eps)
    last = pulled.dim() - len(layer.normalized_shape)
    out["weight"].copy_(_sums(pulled * normal, 1, last))
    if "bias" in out:
        out["bias"].copy_(_sums(pulled, 1, last))


def _embedding(layer: nn.Embedding, inputs: Tensor, pulled: Tensor, out: Mapping[str, Tensor]) -> None:
    tokens, pulled = inputs.flatten(1), pulled.reshape(len(inputs), -1, layer.embedding_dim)
    if layer.padding_idx is not None:
        pulled = pulled * (tokens != layer.padding_idx).unsqueeze(2)
    out["weight"].zero_().scatter_add_(1, tokens.unsqueeze(2).expand_as(pulled), pulled)


def _sums(values: Tensor, first: int, last: int | None = None) -> Tensor:
    """Sum over the dimensions from the first up to, but not including, the last."""
    places = tuple(range(first, values.dim() if last is None else last))
    return values.sum(places) if places else values


_RULES: dict[type[nn.Module], Rule] = {
    nn.Linear: _linear,
    nn.Embedding: _embedding,
    nn.GroupNorm: _group_norm,
    nn.LayerNorm: _layer_norm,
    **dict.fromkeys(_Convolution, _convolution),
    **dict.fromkeys(_BatchNorm, _batch_norm),
}
