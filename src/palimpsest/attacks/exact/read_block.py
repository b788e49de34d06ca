"""Reading of one block from the layers of a classifier: what can be solved, and why the rest can't."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.attacks.exact.block import Activation, Block, Size

_ACTIVATIONS: dict[Any, Activation] = {
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky_relu",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    F.relu: "relu",
    torch.relu: "relu",
    torch.sigmoid: "sigmoid",
    torch.tanh: "tanh",
    "relu": "relu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
}
_POOLING = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)


@dataclass(frozen=True)
class Layer:
    """A step of the forward pass.

    Args:
        kind: Class of the module, or a function, or a method's name.
        name: Name of the module in the network, or of the function.
        models: The module at both models; None if the step is not a module.
        inputs: Shape of the step's input, without the batch dimension.
    """

    kind: Any
    name: str
    models: tuple[nn.Module, nn.Module] | None
    inputs: tuple[int, ...]


class UnsolvableError(Exception):
    """A layer has no equations that the attack can solve; the message says why."""


def pop_block(layers: list[Layer], offsets: dict[str, int]) -> Block:
    """Remove the layers of the last block from a list, and return the block.

    Args:
        layers: Steps of the forward pass, in their order, without those that only reshape.
        offsets: First coordinate in a proof of each trained parameter, by name.

    Raises:
        UnsolvableError: The last layers of the list form no block that the attack can solve.
    """
    activation, pooling = None, None
    while layers and layers[-1].kind in (*_POOLING, *_ACTIVATIONS):
        layer = layers.pop()
        if layer.kind in _POOLING:
            if pooling is not None:
                raise UnsolvableError(f"{layer.name} pools what {pooling.name} pools again")
            if activation is not None and not (
                layer.kind is nn.MaxPool2d and _ACTIVATIONS[activation.kind] == "relu"
            ):
                raise UnsolvableError(f"{layer.name} pools before the activation {activation.name}")
            pooling = layer
        elif activation is not None:
            raise UnsolvableError(f"{layer.name} is followed by another activation")
        else:
            activation = layer
    norm = layers.pop() if layers and layers[-1].kind in (nn.BatchNorm2d, nn.BatchNorm1d) else None
    if not layers or layers[-1].kind not in (nn.Conv2d, nn.Linear):
        raise UnsolvableError(
            f"{layers[-1].name if layers else 'the input'} is not a convolution or a linear layer"
        )
    block = _linear_part(layers.pop(), offsets)
    if norm is not None:
        block = _with_norm(block, norm)
    return _with_pooling(_with_activation(block, activation), pooling)


def _linear_part(layer: Layer, offsets: dict[str, int]) -> Block:
    """Build a block of one convolution or linear layer."""
    assert layer.models is not None, "convolutions and linear layers are modules"
    name = f"{layer.name}.weight".lstrip(".")
    if name not in offsets:
        raise UnsolvableError(f"{layer.name} is frozen, so the proof has no equations of it")
    weight = torch.stack([tensor_of(model, "weight") for model in layer.models])
    bias = torch.stack(
        [
            tensor_of(model, "bias") if model.bias is not None else weight.new_zeros(weight.shape[1])
            for model in layer.models
        ]
    )
    block = Block(layer.name, weight.flatten(2), bias, torch.ones_like(bias), offsets[name], (0, 0, 0))
    module = layer.models[0]
    if isinstance(module, nn.Linear):
        if len(layer.inputs) != 1:
            raise UnsolvableError(f"{layer.name} is applied to inputs of shape {list(layer.inputs)}")
        return replace(block, inputs=(module.in_features, 1, 1))
    assert isinstance(module, nn.Conv2d), "the caller passes convolutions and linear layers"
    if module.groups != 1 or set(module.dilation) != {1} or module.padding_mode != "zeros":
        raise UnsolvableError(f"{layer.name} is grouped, dilated, or padded with something else than zeros")
    if isinstance(module.padding, str):
        raise UnsolvableError(f"{layer.name} pads by the rule {module.padding!r}")
    channels, height, width = layer.inputs
    return replace(
        block,
        inputs=(channels, height, width),
        kernel=_pair(module.kernel_size),
        stride=_pair(module.stride),
        padding=_pair(module.padding),
    )


def _with_norm(block: Block, norm: Layer) -> Block:
    """Fold a batch normalization in evaluation mode into the weight and the bias."""
    assert norm.models is not None, "a batch normalization is a module"
    weights, biases, factors = [], [], []
    for index, model in enumerate(norm.models):
        assert isinstance(model, nn.BatchNorm1d | nn.BatchNorm2d), "the caller passes batch normalizations"
        if model.running_mean is None or model.running_var is None:
            raise UnsolvableError(f"{norm.name} has no running statistics")
        factor = (model.running_var.double() + model.eps).rsqrt()
        factor = factor * tensor_of(model, "weight") if model.affine else factor
        shift = tensor_of(model, "bias") if model.affine else 0.0
        weights.append(block.weight[index] * factor.unsqueeze(1))
        biases.append((block.bias[index] - model.running_mean.double()) * factor + shift)
        factors.append(factor)
    return replace(
        block,
        weight=torch.stack(weights),
        bias=torch.stack(biases),
        gradient_scale=torch.stack(factors),
    )


def _with_activation(block: Block, layer: Layer | None) -> Block:
    if layer is None:
        return block
    slope = 0.0
    if layer.models is not None and isinstance(layer.models[0], nn.LeakyReLU):
        slope = layer.models[0].negative_slope
        if slope <= 0:
            raise UnsolvableError(f"{layer.name} has the negative slope {slope}")
    return replace(block, activation=_ACTIVATIONS[layer.kind], negative_slope=slope)


def _with_pooling(block: Block, layer: Layer | None) -> Block:
    if layer is None:
        return block
    assert layer.models is not None, "pooling layers are modules"
    module = layer.models[0]
    if isinstance(module, nn.AdaptiveAvgPool2d):
        if module.output_size not in (1, (1, 1)):
            raise UnsolvableError(f"{layer.name} pools to {module.output_size}, not to one value")
        return _average(replace(block, window=block.size), layer.name)
    assert isinstance(module, nn.MaxPool2d | nn.AvgPool2d), "these are the three pooling layers"
    window, stride = _pair(module.kernel_size), _pair(module.stride)
    if window != stride or _pair(module.padding) != (0, 0) or module.ceil_mode:
        raise UnsolvableError(f"{layer.name} has windows that overlap or exceed the map")
    if isinstance(module, nn.MaxPool2d):
        return replace(block, window=window)
    if module.divisor_override is not None:
        raise UnsolvableError(f"{layer.name} divides by {module.divisor_override} instead of averaging")
    return _average(replace(block, window=window), layer.name)


def _average(block: Block, name: str) -> Block:
    if block.activation not in ("identity", "relu"):
        raise UnsolvableError(
            f"{name} averages over the {block.activation} of {block.name}, which is not linear"
        )
    return replace(block, pooling="average")


def tensor_of(module: nn.Module, name: str) -> Tensor:
    """Return a module's parameter as a detached float64 tensor."""
    return getattr(module, name).detach().double()


def _pair(value: int | Sequence[int]) -> Size:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
