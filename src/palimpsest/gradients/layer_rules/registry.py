"""The table of gradient rules by layer type, filled by decorators."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from torch import Tensor, nn

PerSampleRule = Callable[[Any, Tensor, Tensor, Mapping[str, Tensor]], None]
"""Called with a layer, its inputs `[n, ...]`, the loss's gradients at its outputs `[n, ...]`, and tensors `[n, *shape]`
by parameter name, into which the rule writes each sample's gradient. These tensors may be strided, and hold arbitrary
numbers before the call."""

Forward = Callable[[Any, Tensor], tuple[Tensor, Tensor]]
"""From a layer and its inputs to what its gradients are computed from, and its outputs."""
BatchGradients = Callable[[Any, int, Tensor, Tensor], dict[str, Tensor]]
"""From a layer, the number p of batches, what its forward function saved and the loss's gradients at its outputs
`[p * n, ...]` to the gradients of its parameters by name, `[p, *shape]` each."""
Supports = Callable[[Any], bool]
"""Whether a rule holds for a layer with its settings."""

R = TypeVar("R", bound=PerSampleRule)
G = TypeVar("G", bound=BatchGradients)


class BatchedRule(NamedTuple):
    """How the gradients of many batches are computed at once, such that they can be differentiated.

    Args:
        forward: Computes the layer, and what `gradients` needs.
        gradients: Computes the parameters' gradients, with differentiable operations only.
    """

    forward: Forward
    gradients: BatchGradients


def register_per_sample_rule(
    *layer_types: type[nn.Module], supports: Supports | None = None
) -> Callable[[R], R]:
    """Register a function as the per-sample gradient rule of layer types.

    A later rule of the same type replaces an earlier one. Subclasses are not covered: they may compute something else.

    Args:
        layer_types: The layers' classes.
        supports: Returns False for a layer whose settings the rule does not cover. If omitted, it covers all.
    """

    def register(rule: R) -> R:
        _PER_SAMPLE.update(dict.fromkeys(layer_types, (rule, supports)))
        return rule

    return register


def register_batched_rule(
    *layer_types: type[nn.Module], forward: Forward, supports: Supports | None = None
) -> Callable[[G], G]:
    """Register a function as the batched gradient rule of layer types, for attacks that match gradients.

    Args:
        layer_types: The layers' classes; each needs a per-sample rule too.
        forward: Computes the layer, and what the registered function needs.
        supports: Returns False for a layer whose settings the rule does not cover. If omitted, it covers all.
    """

    def register(gradients: G) -> G:
        rule = BatchedRule(forward, gradients)
        _BATCHED.update(dict.fromkeys(layer_types, (rule, supports)))
        return gradients

    return register


def find_per_sample_rule(layer: nn.Module) -> PerSampleRule | None:
    """The per-sample rule of a layer; None if its type has no rule or the rule does not support its settings."""
    rule, supports = _PER_SAMPLE.get(type(layer), (None, None))
    return rule if supports is None or supports(layer) else None


def find_batched_rule(layer: nn.Module) -> BatchedRule | None:
    """The batched rule of a layer; None if its type has no rule or the rule does not support its settings."""
    rule, supports = _BATCHED.get(type(layer), (None, None))
    return rule if supports is None or supports(layer) else None


_PER_SAMPLE: dict[type[nn.Module], tuple[PerSampleRule, Supports | None]] = {}
_BATCHED: dict[type[nn.Module], tuple[BatchedRule, Supports | None]] = {}
