"""Observation of each use of a layer in a forward pass, by hooks or by the layer's decomposition."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.utils._python_dispatch import _disable_current_modes

from palimpsest.gradients.layer_rules import (
    PartRule,
    PerSampleRule,
    find_decomposition,
    find_per_sample_rule,
)


class Use(NamedTuple):
    """Use of some parameters of a layer.

    Args:
        layer: Name of the layer in the model.
        parameters: Names of the parameters in the layer.
        values: Tensor `[n, ...]` from whose gradients those of the parameters follow.
        saved: Tensors `[n, ...]` that the rule needs.
        rule: Writes the gradients of the parameters.
        decomposed: Whether the values do not depend on the parameters in the autograd graph.
    """

    layer: str
    parameters: Sequence[str]
    values: Tensor
    saved: Sequence[Tensor]
    rule: PartRule
    decomposed: bool


Visit = Callable[[Use], Tensor]
"""Called at each use; returns the values that the pass continues with, which for a hooked layer are the same."""


def has_rule(layer: nn.Module) -> bool:
    """Return True if a layer has a per-sample rule or a decomposition that covers its settings."""
    return find_per_sample_rule(layer) is not None or find_decomposition(layer) is not None


@contextmanager
def observe(layers: Mapping[str, nn.Module], visit: Visit) -> Iterator[None]:
    """Call a function at each use of the layers while the context lasts.

    Args:
        layers: The layers by name; each has a rule (`has_rule`).
        visit: The function.
    """
    with ExitStack() as stack:
        for name, layer in layers.items():
            decomposition = find_decomposition(layer)
            if decomposition is None:
                rule = find_per_sample_rule(layer)
                assert rule is not None, "each layer has a rule"
                # These hooks run before all others, which may replace the outputs.
                hook = partial(_visit_outputs, name, rule, visit)
                handle = layer.register_forward_hook(hook, prepend=True, with_kwargs=True)
                stack.callback(handle.remove)
            else:
                layer.forward = partial(
                    _decomposed, decomposition, layer, partial(_visit_values, name, visit)
                )
                stack.callback(delattr, layer, "forward")
        yield


def _decomposed(decomposition: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a decomposition, which depends on no data, out of sight of a check for that, which would slow it down."""
    with _disable_current_modes():
        return decomposition(*args, **kwargs)


def _visit_outputs(  # noqa: PLR0917 - as torch calls a hook
    name: str,
    rule: PerSampleRule,
    visit: Visit,
    layer: nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    outputs: Tensor,
) -> None:
    def write(grad_outputs: Tensor, saved: Sequence[Tensor], out: Mapping[str, Tensor]) -> None:
        rule(layer, saved[0], grad_outputs, out)

    inputs = args[0] if args else next(iter(kwargs.values()))
    parameters = [parameter for parameter, _ in layer.named_parameters(recurse=False)]
    visit(Use(name, parameters, outputs, [inputs], write, decomposed=False))


def _visit_values(
    name: str,
    visit: Visit,
    values: Tensor,
    parameters: Sequence[str],
    saved: Sequence[Tensor],
    rule: PartRule,
) -> Tensor:
    return visit(Use(name, parameters, values, saved, rule, decomposed=True))
