"""The gradients of many batches at one point: one pass for all samples, and a matrix product for each layer.

`vmap(grad)` takes each batch for a group of a convolution, which the libraries compute slowly in float64. Here all
samples go through the network together, as in ordinary training, and only what a layer's parameters are multiplied with
is summed batch by batch. All of it can be differentiated by the images, as gradient matching does.
"""

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from palimpsest.gradients.layerwise import Layerwise, layers_of
from palimpsest.gradients.unfold import Windows, patches
from palimpsest.storage import Parameters


class _Rule(NamedTuple):
    """How one type of layer computes, and how its parameters' gradients follow.

    Args:
        forward: From a layer and its inputs, what the gradients need, and the outputs.
        gradients: From the number of batches, what the gradients need and the loss's gradients at the outputs, the
            gradients of the parameters, each `[batches, *shape]`.
    """

    forward: Callable[[Any, Tensor], tuple[Tensor, Tensor]]
    gradients: Callable[[Any, int, Tensor, Tensor], dict[str, Tensor]]


class _Use(NamedTuple):
    """A layer's use in one pass."""

    name: str
    needed: Tensor
    outputs: GradientEdge


class TogetherGradients:
    """The mean gradients of the cross-entropy over each of many batches, at one network's parameters.

    Args:
        network: In eval mode; it is copied.
        parameters: A state dict of it, by which the copy's is replaced.
    """

    def __init__(self, network: nn.Module, parameters: Parameters) -> None:
        self._network = copy.deepcopy(network).eval().requires_grad_(False)
        self._network.load_state_dict(parameters, strict=False, assign=True)
        self._parameters = list(self._network.named_parameters())
        self._layers = layers_of(self._network)

    def suits(self, images: Tensor) -> bool:
        """Whether the network can be read layer by layer, and every layer has a rule here; see `Layerwise.suits`.

        Args:
            images: At least one, `[n, ...]`.
        """
        known = all(
            type(layer) in _RULES and getattr(layer, "groups", 1) == 1 for layer in self._layers.values()
        )
        return known and Layerwise(self._network).suits(images)

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """The gradients `[p, d]` of p batches, in `named_parameters()` order; they can be differentiated.

        Args:
            images: `[p, n, ...]`, of a kind that `suits`.
            targets: The probability of each class, `[p, n, classes]`.
        """
        batches, samples = images.shape[:2]
        again = torch.is_grad_enabled() and (images.requires_grad or targets.requires_grad)
        with torch.enable_grad():
            # Even where nobody will ask for derivatives by the images, those at the layers' outputs are needed.
            uses, logits = self._pass((images if again else images.detach().requires_grad_()).flatten(0, 1))
            loss = F.cross_entropy(logits, targets.flatten(0, 1), reduction="sum") / samples
            pulled = torch.autograd.grad(loss, [use.outputs for use in uses], create_graph=again)
        with torch.set_grad_enabled(again):
            found = {name: targets.new_zeros(batches, value.numel()) for name, value in self._parameters}
            for use, gradient in zip(uses, pulled, strict=True):
                layer, prefix = self._layers[use.name], f"{use.name}." if use.name else ""
                own = _rule(layer).gradients(layer, batches, use.needed, gradient)
                found |= {prefix + name: value.flatten(1) for name, value in own.items()}
            return torch.cat([found[name] for name, _ in self._parameters], dim=1)

    def _pass(self, images: Tensor) -> tuple[list[_Use], Tensor]:
        """What each layer needs for its gradients, and the network's logits."""
        uses = list[_Use]()

        def compute(name: str, layer: nn.Module, forward: Any, inputs: Tensor) -> Tensor:
            needed, outputs = forward(layer, inputs)
            # Here and not after the layer's hooks, which may put something else in the place of what came out.
            uses.append(_Use(name, needed, get_gradient_edge(outputs)))
            return outputs

        for name, layer in self._layers.items():
            layer.forward = partial(compute, name, layer, _rule(layer).forward)
        try:
            return uses, self._network(images)
        finally:
            for layer in self._layers.values():
                del layer.forward


def _rule(layer: nn.Module) -> _Rule:
    return _RULES[type(layer)]


def _linear(layer: nn.Linear, inputs: Tensor) -> tuple[Tensor, Tensor]:
    return inputs, F.linear(inputs, layer.weight, layer.bias)


def _linear_gradients(layer: nn.Linear, batches: int, inputs: Tensor, pulled: Tensor) -> dict[str, Tensor]:
    inputs = inputs.reshape(batches, -1, layer.in_features)
    pulled = pulled.reshape(batches, -1, layer.out_features)
    return _with_bias(layer, pulled.mT @ inputs, pulled.sum(1))


def _convolution(layer: nn.Conv2d, inputs: Tensor) -> tuple[Tensor, Tensor]:
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = F.pad(inputs, layer._reversed_padding_repeated_twice, mode=mode).movedim(1, -1).contiguous()
    windows = Windows.over(padded, layer)
    rows = patches(padded, windows).view(-1, layer.weight[0].numel())
    weight = layer.weight.permute(2, 3, 1, 0).reshape(rows.shape[1], layer.out_channels)
    outputs = rows @ weight if layer.bias is None else torch.addmm(layer.bias, rows, weight)
    return rows, outputs.view(len(inputs), *windows.grid, layer.out_channels).movedim(-1, 1)


def _convolution_gradients(layer: nn.Conv2d, batches: int, rows: Tensor, pulled: Tensor) -> dict[str, Tensor]:
    pulled = pulled.movedim(1, -1).reshape(batches, -1, layer.out_channels)
    weight = rows.view(batches, -1, rows.shape[1]).mT @ pulled
    channels_last = weight.view(batches, *layer.kernel_size, layer.in_channels, layer.out_channels)
    return _with_bias(layer, channels_last.permute(0, 4, 3, 1, 2), pulled.sum(1))


def _with_bias(layer: Any, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    return {"weight": weight} if layer.bias is None else {"weight": weight, "bias": bias}


def _batch_norm(layer: nn.BatchNorm2d, inputs: Tensor) -> tuple[Tensor, Tensor]:
    normal = F.batch_norm(inputs, layer.running_mean, layer.running_var, eps=layer.eps)
    return normal, _scaled(layer, normal)


def _group_norm(layer: nn.GroupNorm, inputs: Tensor) -> tuple[Tensor, Tensor]:
    normal = F.group_norm(inputs, layer.num_groups, eps=layer.eps)
    return normal, _scaled(layer, normal)


def _scaled(layer: nn.BatchNorm2d | nn.GroupNorm, normal: Tensor) -> Tensor:
    weight, bias = (value.view(-1, *[1] * (normal.dim() - 2)) for value in (layer.weight, layer.bias))
    return torch.addcmul(bias, normal, weight)


def _scale_gradients(
    layer: nn.BatchNorm2d | nn.GroupNorm, batches: int, normal: Tensor, pulled: Tensor
) -> dict[str, Tensor]:
    def sums(values: Tensor) -> Tensor:
        return values.reshape(batches, -1, values.shape[1], values[0, 0].numel()).sum((1, 3))

    return {"weight": sums(pulled * normal), "bias": sums(pulled)}


_RULES: Mapping[type[nn.Module], _Rule] = {
    nn.Linear: _Rule(_linear, _linear_gradients),
    nn.Conv2d: _Rule(_convolution, _convolution_gradients),
    nn.BatchNorm1d: _Rule(_batch_norm, _scale_gradients),
    nn.BatchNorm2d: _Rule(_batch_norm, _scale_gradients),
    nn.GroupNorm: _Rule(_group_norm, _scale_gradients),
}
