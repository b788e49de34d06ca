"""Batched gradients of many batches at the same parameters: one pass for all samples, one matmul for each layer.

`vmap(grad)` turns the batches into groups of a convolution, which the libraries compute slowly in float64. Here, all
samples pass through the network as one batch, as in ordinary training, and only the gradients of the parameters are
summed for each batch. The result can be differentiated with respect to the images, as gradient matching requires.
"""

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from palimpsest.gradients.coverage import layers_of
from palimpsest.gradients.layer_rules import BatchedRule, find_batched_rule
from palimpsest.gradients.layerwise import Layerwise
from palimpsest.storage import Parameters


class _Use(NamedTuple):
    """Use of a layer in one pass.

    Args:
        name: Name of the layer.
        saved: Tensor that the layer's rule needs.
        outputs: Edge of the autograd graph at the layer's outputs.
    """

    name: str
    saved: Tensor
    outputs: GradientEdge


class BatchedGradients:
    """Mean gradients of the cross-entropy over each of many batches, at given parameters.

    Args:
        network: The architecture, in eval mode; it is copied.
        parameters: State dict that the copy gets.
        trainable: Names of the parameters whose gradients are computed, in their order.
    """

    def __init__(self, network: nn.Module, parameters: Parameters, trainable: Sequence[str]) -> None:
        """Copy the network and load the parameters."""
        self._network = copy.deepcopy(network).eval().requires_grad_(False)
        self._network.load_state_dict(parameters, strict=False, assign=True)
        named = dict(self._network.named_parameters())
        self._parameters = [(name, named[name]) for name in trainable]
        self._layers = layers_of(self._network, trainable)

    def supports(self, images: Tensor) -> bool:
        """Return True if every layer has a batched rule and `Layerwise` supports the network.

        Args:
            images: At least one image of the shape that will be used, `[n, ...]`.
        """
        rules = map(find_batched_rule, self._layers.values())
        traced = copy.deepcopy(self._network)
        trained = {name for name, _ in self._parameters}
        for name, parameter in traced.named_parameters():
            parameter.requires_grad_(name in trained)
        return all(rule is not None for rule in rules) and Layerwise(traced).supports(images)

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """Compute the gradients of p batches.

        Args:
            images: `[p, n, ...]`, of a shape that `supports` accepts.
            targets: Class probabilities, `[p, n, classes]`.

        Returns:
            `[p, d]`, flattened and concatenated in `named_parameters()` order. They are differentiable if images or
            targets require gradients.
        """
        batches, samples = images.shape[:2]
        differentiable = torch.is_grad_enabled() and (images.requires_grad or targets.requires_grad)
        with torch.enable_grad():
            # The gradients at the layers' outputs are needed even if the gradients at the images are not.
            inputs = images if differentiable else images.detach().requires_grad_()
            uses, logits = self._pass(inputs.flatten(0, 1))
            loss = F.cross_entropy(logits, targets.flatten(0, 1), reduction="sum") / samples
            outputs = [use.outputs for use in uses]
            grad_outputs = torch.autograd.grad(loss, outputs, create_graph=differentiable)
        with torch.set_grad_enabled(differentiable):
            gradients = {name: targets.new_zeros(batches, value.numel()) for name, value in self._parameters}
            for use, gradient in zip(uses, grad_outputs, strict=True):
                layer, prefix = self._layers[use.name], f"{use.name}." if use.name else ""
                computed = _rule(layer).gradients(layer, batches, use.saved, gradient)
                for name, value in computed.items():
                    if prefix + name in gradients:
                        gradients[prefix + name] = gradients[prefix + name] + value.flatten(1)
            return torch.cat([gradients[name] for name, _ in self._parameters], dim=1)

    def _pass(self, images: Tensor) -> tuple[list[_Use], Tensor]:
        """Run the forward pass; return the uses of the layers and the network's logits."""
        uses = list[_Use]()

        def compute(name: str, layer: nn.Module, forward: Any, inputs: Tensor) -> Tensor:
            # A layer with one row for all samples gets one for each, whose gradients are then apart.
            saved, outputs = forward(layer, inputs.expand(len(images), *inputs.shape[1:]))
            if not outputs.requires_grad:  # the layer's inputs do not depend on the samples
                outputs.requires_grad_()
            # The edge is recorded before the layer's hooks run, since these may replace the outputs.
            uses.append(_Use(name, saved, get_gradient_edge(outputs)))
            return outputs

        for name, layer in self._layers.items():
            layer.forward = partial(compute, name, layer, _rule(layer).forward)
        try:
            return uses, self._network(images)
        finally:
            for layer in self._layers.values():
                del layer.forward


def _rule(layer: nn.Module) -> BatchedRule:
    rule = find_batched_rule(layer)
    assert rule is not None, "`supports` requires a rule for each layer"
    return rule
