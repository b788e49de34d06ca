"""Observation of each use of a layer in a forward pass, by hooks or by the layer's decomposition."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn

from palimpsest.errors import ModelError
from palimpsest.gradients.factor_projection import FactorProjection
from palimpsest.gradients.layer_rules import (
    Decomposition,
    FactoredPartRule,
    FactoredRule,
    PartRule,
    PerSampleRule,
    find_decomposition,
    find_factored_rule,
    find_per_sample_rule,
)


class RowCountError(ModelError):
    """A layer was called with a number of rows that is not the number of samples, unlike in the probe."""


class Use(NamedTuple):
    """Use of some parameters of a layer.

    Args:
        layer: Name of the layer in the model.
        parameters: Names of the parameters in the layer.
        values: Tensor `[n, ...]` from whose gradients those of the parameters follow.
        saved: Tensors `[n, ...]` that the rule needs.
        rule: Writes the gradients of the parameters.
        decomposed: Whether the values do not depend on the parameters in the autograd graph.
        shared: Whether the layer was called with one row for all samples, such as the positions of tokens.
        factored: Projects the gradients of weights without computing them, or None if the layer has no such rule.
    """

    layer: str
    parameters: Sequence[str]
    values: Tensor
    saved: Sequence[Tensor]
    rule: PartRule
    decomposed: bool
    shared: bool
    factored: FactoredPartRule | None

    def check_rows(self, count: int) -> None:
        """Check that each tensor has one row for each sample.

        Args:
            count: Number of samples.

        Raises:
            RowCountError: A tensor has another number of rows.
        """
        if any(tensor.dim() == 0 or len(tensor) != count for tensor in (self.values, *self.saved)):
            raise RowCountError(
                f"{self.layer or 'The model'} was called with {len(self.values)} rows for {count} samples. "
                "Pass one sample at a time."
            )


Visit = Callable[[Use], Tensor]
"""Called at each use; returns the values that the pass continues with."""
Around = Callable[[], AbstractContextManager[object]]
"""Returns a context."""


def has_rule(layer: nn.Module) -> bool:
    """Return True if a layer has a per-sample rule or a decomposition that covers its settings."""
    return find_per_sample_rule(layer) is not None or find_decomposition(layer) is not None


@contextmanager
def observe(
    layers: Mapping[str, nn.Module], visit: Visit, *, rows: int = 1, around: Around = nullcontext
) -> Iterator[None]:
    """Call a function at each use of the layers while the context lasts.

    Args:
        layers: The layers by name; each has a rule (`has_rule`).
        visit: The function.
        rows: Number of rows that inputs and outputs with a single row are expanded to, so that each sample has its own.
        around: Visits and decompositions run in the context that it returns.
    """
    with ExitStack() as stack:
        for name, layer in layers.items():
            decomposition = find_decomposition(layer)
            if decomposition is None:
                rule = find_per_sample_rule(layer)
                assert rule is not None, "each layer has a rule"
                parameters = [parameter for parameter, _ in layer.named_parameters(recurse=False)]
                hook = _Hook(name, parameters, rule, find_factored_rule(layer), visit, rows, around)
                # These hooks run before all others, which may replace the outputs.
                handle = layer.register_forward_hook(hook, prepend=True, with_kwargs=True)
                stack.callback(handle.remove)
            else:
                record = partial(_record, name, visit)
                layer.forward = partial(_decomposed, around, decomposition, layer, record)
                stack.callback(delattr, layer, "forward")
        yield


class _Hook(NamedTuple):
    """Forward hook that visits the outputs of a layer."""

    name: str
    parameters: Sequence[str]
    rule: PerSampleRule
    factored_rule: FactoredRule | None
    visit: Visit
    rows: int
    around: Around

    def __call__(
        self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Tensor
    ) -> Tensor:
        # The visitor may keep `write` and `project`, which therefore must not refer to the visitor.
        rule, factored_rule = self.rule, self.factored_rule

        def write(grad_outputs: Tensor, saved: Sequence[Tensor], out: Mapping[str, Tensor]) -> None:
            rule(layer, saved[0], grad_outputs, out)

        def project(
            grad_outputs: Tensor, saved: Sequence[Tensor], factors: Mapping[str, FactorProjection]
        ) -> dict[str, Tensor]:
            if factored_rule is None or "weight" not in factors:
                return {}
            return {"weight": factored_rule(layer, saved[0], grad_outputs, factors["weight"])}

        with self.around():
            inputs = args[0] if args else next(iter(kwargs.values()))
            shared = inputs.shape[:1] == outputs.shape[:1] == (1,)
            if shared and self.rows > 1:
                inputs, outputs = (
                    tensor.expand(self.rows, *tensor.shape[1:]) for tensor in (inputs, outputs)
                )
            return self.visit(
                Use(
                    self.name,
                    self.parameters,
                    outputs,
                    [inputs],
                    write,
                    decomposed=False,
                    shared=shared,
                    factored=project,
                )
            )


def _decomposed(around: Around, decomposition: Decomposition, *args: Any, **kwargs: Any) -> Any:
    with around():
        return decomposition(*args, **kwargs)


def _record(  # noqa: PLR0917 - the arguments of `Record`, after two that are bound
    name: str,
    visit: Visit,
    values: Tensor,
    parameters: Sequence[str],
    saved: Sequence[Tensor],
    rule: PartRule,
    factored: FactoredPartRule | None = None,
) -> Tensor:
    return visit(Use(name, parameters, values, saved, rule, decomposed=True, shared=False, factored=factored))
