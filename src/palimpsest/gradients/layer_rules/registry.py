"""Registry of gradient rules by layer type, filled by decorators."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from torch import Tensor, nn

from palimpsest.gradients.factor_projection import FactorProjection

PerSampleRule = Callable[[Any, Tensor, Tensor, Mapping[str, Tensor]], None]
"""Writes each sample's gradients of a layer's parameters.

It is called with the layer, its inputs `[n, ...]`, the backpropagated gradients at its outputs `[n, ...]`, and output
tensors `[n, *shape]` by parameter name. The output tensors may be strided and are uninitialized before the call.
"""

PartRule = Callable[[Tensor, Sequence[Tensor], Mapping[str, Tensor]], None]
"""Writes each sample's gradients of some of a layer's parameters.

It is called with the backpropagated gradients at a recorded tensor `[n, ...]`, the tensors that were saved with it, and
output tensors `[n, *shape]` of those parameters by name, uninitialized as for a `PerSampleRule`.
"""

FactoredRule = Callable[[Any, Tensor, Tensor, FactorProjection], Tensor]
"""Projects each sample's gradient of a layer's `weight` from both sides, without computing the gradient.

It is called with the layer, its inputs `[n, ...]`, the backpropagated gradients at its outputs `[n, ...]`, and the
matrices for the two factors of the weight as a matrix `[len(weight), rest]`. It returns `[n, r, s]`.
"""

FactoredPartRule = Callable[[Tensor, Sequence[Tensor], Mapping[str, FactorProjection]], dict[str, Tensor]]
"""Projects each sample's gradients of some of a layer's weights from both sides.

It is called with the first two arguments of a `PartRule` and the matrices for the factors of some weights by name. It
returns projected gradients `[n, r, s]` by name. The gradients of weights that it leaves out are computed.
"""


class Record(Protocol):
    """Reports a tensor of a decomposed layer from whose gradients those of some parameters follow."""

    def __call__(
        self,
        values: Tensor,
        parameters: Sequence[str],
        saved: Sequence[Tensor],
        rule: PartRule,
        factored: FactoredPartRule | None = None,
    ) -> Tensor:
        """Record a tensor.

        Args:
            values: `[n, ...]`.
            parameters: Names of the parameters whose gradients the rule writes, adjacent in the layer.
            saved: Tensors `[n, ...]` that the rule is called with.
            rule: Writes the gradients of all these parameters, or of some of them.
            factored: Projects the gradients of weights. If omitted, these gradients are computed.

        Returns:
            The tensor to continue with, in place of `values`.
        """
        ...


Decomposition = Callable[..., Any]
"""Computes what a layer's forward method returns, and records the tensors that its gradients follow from.

It is called with the layer, a `Record` function, and the arguments of the forward method. It must use the parameters
detached, so that autograd computes no gradients of them, and differentiable operations otherwise.
"""

Forward = Callable[[Any, Tensor], tuple[Tensor, Tensor]]
"""Maps a layer and its inputs to the tensor that its gradients are computed from, and the layer's outputs."""
BatchGradients = Callable[[Any, int, Tensor, Tensor], dict[str, Tensor]]
"""Computes the gradients of a layer's parameters for p batches, `[p, *shape]` by name.

It is called with the layer, the number p of batches, the tensor that the forward function saved, and the backpropagated
gradients at the layer's outputs, `[p * n, ...]`.
"""
Supports = Callable[[Any], bool]
"""Returns True if a rule covers a layer's settings."""

T = TypeVar("T")
R = TypeVar("R", bound=PerSampleRule)
F = TypeVar("F", bound=FactoredRule)
G = TypeVar("G", bound=BatchGradients)
D = TypeVar("D", bound=Decomposition)


class BatchedRule(NamedTuple):
    """Rule that computes differentiable gradients of many batches at once.

    Args:
        forward: Computes the layer's outputs and the tensor that `gradients` needs.
        gradients: Computes the gradients of the parameters, with differentiable operations only.
    """

    forward: Forward
    gradients: BatchGradients


def register_per_sample_rule(
    *layer_types: type[nn.Module], supports: Supports | None = None
) -> Callable[[R], R]:
    """Register a function as the per-sample gradient rule of layer types.

    A later rule for the same type replaces an earlier one. Subclasses are not covered, since they may compute something
    else.

    Args:
        layer_types: Classes of the layers.
        supports: Returns False for a layer whose settings the rule does not cover. If omitted, the rule covers all.

    Returns:
        A decorator that registers the rule and returns it unchanged.
    """
    return _registering(_PER_SAMPLE, layer_types, supports)


def register_factored_rule(
    *layer_types: type[nn.Module], supports: Supports | None = None
) -> Callable[[F], F]:
    """Register a function as the factored rule of layer types, for projections that need no whole gradients.

    Args:
        layer_types: Classes of the layers; each one needs a per-sample rule too, which writes the other parameters.
        supports: Returns False for a layer whose settings the rule does not cover. If omitted, the rule covers all.

    Returns:
        A decorator that registers the rule and returns it unchanged.
    """
    return _registering(_FACTORED, layer_types, supports)


def register_decomposition(
    *layer_types: type[nn.Module], supports: Supports | None = None
) -> Callable[[D], D]:
    """Register a function as the decomposition of layer types, for layers that a `PerSampleRule` can't cover.

    Such a layer has several inputs or outputs, or uses a parameter more than once, as recurrent layers and attention
    do. Its decomposition replaces its forward method while per-sample gradients are computed. A layer with a
    decomposition needs no per-sample rule; subclasses are not covered.

    Args:
        layer_types: Classes of the layers.
        supports: Returns False for a layer whose settings are not covered. If omitted, all are.

    Returns:
        A decorator that registers the function and returns it unchanged.
    """
    return _registering(_DECOMPOSED, layer_types, supports)


def register_batched_rule(
    *layer_types: type[nn.Module], forward: Forward, supports: Supports | None = None
) -> Callable[[G], G]:
    """Register a function as the batched gradient rule of layer types, for attacks that match gradients.

    Args:
        layer_types: Classes of the layers; each one needs a per-sample rule too.
        forward: Computes the layer's outputs and the tensor that the registered function needs.
        supports: Returns False for a layer whose settings the rule does not cover. If omitted, the rule covers all.

    Returns:
        A decorator that registers the function and returns it unchanged.
    """

    def register(gradients: G) -> G:
        rule = BatchedRule(forward, gradients)
        _BATCHED.update(dict.fromkeys(layer_types, (rule, supports)))
        return gradients

    return register


def find_per_sample_rule(layer: nn.Module) -> PerSampleRule | None:
    """Return the per-sample rule of a layer; None if its type has none or the rule does not cover its settings."""
    return _find(_PER_SAMPLE, layer)


def find_factored_rule(layer: nn.Module) -> FactoredRule | None:
    """Return the factored rule of a layer; None if its type has none or the rule does not cover its settings."""
    return _find(_FACTORED, layer)


def find_decomposition(layer: nn.Module) -> Decomposition | None:
    """Return the decomposition of a layer; None if its type has none or its settings or forward method differ."""
    if "forward" in vars(layer):  # replaced for this layer alone
        return None
    return _find(_DECOMPOSED, layer)


def find_batched_rule(layer: nn.Module) -> BatchedRule | None:
    """Return the batched rule of a layer; None if its type has none or the rule does not cover its settings."""
    return _find(_BATCHED, layer)


def _registering(
    table: dict[type[nn.Module], tuple[Any, Supports | None]],
    layer_types: tuple[type[nn.Module], ...],
    supports: Supports | None,
) -> Callable[[T], T]:
    """Return a decorator that registers a function in a table, and returns it unchanged."""

    def register(rule: T) -> T:
        table.update(dict.fromkeys(layer_types, (rule, supports)))
        return rule

    return register


def _find(table: Mapping[type[nn.Module], tuple[T, Supports | None]], layer: nn.Module) -> T | None:
    """Return what is registered for the type of a layer; None if that is nothing, or does not cover its settings."""
    rule, supports = table.get(type(layer), (None, None))
    return rule if supports is None or supports(layer) else None


_PER_SAMPLE: dict[type[nn.Module], tuple[PerSampleRule, Supports | None]] = {}
_FACTORED: dict[type[nn.Module], tuple[FactoredRule, Supports | None]] = {}
_BATCHED: dict[type[nn.Module], tuple[BatchedRule, Supports | None]] = {}
_DECOMPOSED: dict[type[nn.Module], tuple[Decomposition, Supports | None]] = {}
