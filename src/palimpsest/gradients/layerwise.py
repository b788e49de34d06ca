"""Per-sample gradients of a batch from one forward pass, one backward pass and a rule for each layer.

A layer's parameters affect the loss only through the layer's outputs. A sample's gradient therefore follows from the
layer's inputs and the backpropagated gradient at its outputs. Ordinary batched passes compute both at full speed. The
model is neither wrapped nor changed; hooks are attached only during a pass.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge
from torch.func import functional_call

from palimpsest.gradients.layer_rules import PerSampleRule, find_per_sample_rule
from palimpsest.gradients.saved_tensor import SavedTensor
from palimpsest.gradients.trainable import trainable_parameters

Visit = Callable[[str, Tensor, Tensor], None]
"""Called at each use of a layer with the layer's name, inputs and outputs."""
Destination = Callable[[str], tuple[Tensor, Callable[[], None] | None]]
"""Maps a layer's name to a tensor `[n, width]` for its gradients and a function to call once they are written."""


class Layerwise:
    """Engine that computes the per-sample gradients of one model layer by layer.

    Args:
        model: The model; it must be in eval mode whenever the engine is used.
    """

    def __init__(self, model: nn.Module) -> None:
        """Locate the parameters of each layer in a flattened gradient."""
        self._model = model
        self._trainable = trainable_parameters(model)
        self._layers = layers_of(model, self._trainable)
        self._parameters = {name: self._parameters_of(name) for name in self._layers}
        self._shapes = {name: value.shape for name, value in self._trainable.items()}
        self._columns: dict[str, slice] = {}
        self._buffer: Tensor | None = None
        start = 0
        for name, parameter in self._trainable.items():
            self._columns[name] = slice(start, start + parameter.numel())
            start += parameter.numel()

    def supports(self, images: Tensor) -> bool:
        """Return True if the model's gradients can be computed layer by layer.

        Each trainable parameter must belong to one layer without frozen parameters, each such layer must have a rule
        and be used at most once, and no layer may mix samples. A pass of two samples tests the last condition: the
        first row of every layer must stay bitwise the same when the second sample changes.

        Args:
            images: At least one image of the shape that the engine will be called with, `[n, ...]`.
        """
        names = [name for parameters in self._parameters.values() for name in parameters.values()]
        rules = map(find_per_sample_rule, self._layers.values())
        if sorted(names) != sorted(self._columns) or not all(rules):
            return False
        image = images[:1]
        other = _far_from(image) if image.is_floating_point() else images[-1:].flip(-1)
        try:
            with_copy, complete = self._trace(torch.cat([image, image]))
            with_other, _ = self._trace(torch.cat([image, other]))
        # A model may fail in any way on such images. The vmap engine then reports the error.
        except Exception:
            return False
        return (
            complete
            and len(with_copy) == len(with_other)
            and all(
                len(first) == len(second) == 2 for first, second in zip(with_copy, with_other, strict=True)
            )
            and all(
                torch.equal(first[0], second[0]) for first, second in zip(with_copy, with_other, strict=True)
            )
        )

    @property
    def widest(self) -> int:
        """Number of parameters of the largest layer."""
        return max(columns.stop - columns.start for columns in map(self._span, self._layers))

    def write(self, images: Tensor, labels: Tensor, out: Tensor) -> None:
        """Write each sample's gradient of the cross-entropy into the rows of a matrix.

        Each layer's gradients are computed when the backward pass reaches the layer, while its tensors are in the
        cache.

        Args:
            images: `[n, ...]`, of a shape that `supports` accepts.
            labels: Class indices, `[n]`.
            out: Receives the gradients, `[n, d]`.
        """
        for name in self._differentiate(images, labels, lambda name: (out[:, self._span(name)], None)):
            out[:, self._span(name)].zero_()

    def for_each_layer(self, images: Tensor, labels: Tensor, callback: Callable[[int, Tensor], None]) -> None:
        """Pass each layer's per-sample gradients to a callback, without forming whole vectors.

        Args:
            images: `[n, ...]`, of a shape that `supports` accepts.
            labels: Class indices, `[n]`.
            callback: Called for each layer with the layer's first column and its gradients `[n, width]`. The next call
                overwrites the gradients.
        """
        buffer = self._buffer_for(images)

        def destination(name: str) -> tuple[Tensor, Callable[[], None]]:
            columns = self._span(name)
            width = columns.stop - columns.start
            gradients = buffer[: len(images) * width].view(len(images), width)
            return gradients, lambda: callback(columns.start, gradients)

        self._differentiate(images, labels, destination)

    def _buffer_for(self, images: Tensor) -> Tensor:
        """Return memory for the largest layer's gradients; it is reused, since the system clears all new memory."""
        buffer = self._buffer
        if (
            buffer is None
            or (buffer.dtype, buffer.device) != (images.dtype, images.device)
            or len(buffer) < len(images)
        ):
            buffer = torch.empty(len(images), self.widest, dtype=images.dtype, device=images.device)
            self._buffer = buffer
        return buffer.view(-1)

    def _differentiate(self, images: Tensor, labels: Tensor, destination: Destination) -> set[str]:
        """Write each layer's gradients to its destination and return the names of unused layers, which have none."""
        unused, sources = set(self._layers), list[GradientEdge]()

        def visit(name: str, inputs: Tensor, outputs: Tensor) -> None:
            unused.discard(name)
            saved = SavedTensor(inputs)

            def compute(grad_outputs: Tensor) -> None:
                gradients, on_written = destination(name)
                self._rule(name)(
                    self._layers[name], saved.get(), grad_outputs, self._by_parameter(name, gradients)
                )
                if on_written:
                    on_written()

            outputs.register_hook(compute)
            if not inputs.requires_grad:
                sources.append(get_gradient_edge(outputs))

        with torch.enable_grad():
            loss = F.cross_entropy(self._pass(images, self._leaves(), visit), labels, reduction="sum")
        # The pass computes no gradient of a weight, since only those at the first layers' outputs are requested.
        torch.autograd.grad(loss, sources)
        return unused

    def _rule(self, name: str) -> PerSampleRule:
        rule = find_per_sample_rule(self._layers[name])
        assert rule is not None, "`supports` requires a rule for each layer"
        return rule

    def _trace(self, images: Tensor) -> tuple[list[Tensor], bool]:
        """Return each layer's inputs and outputs, and True if they account for every use of every parameter."""
        traced, names, saved = list[Tensor](), list[str](), list[SavedTensor]()

        def visit(name: str, inputs: Tensor, outputs: Tensor) -> None:
            names.append(name)
            traced.extend((inputs.detach().clone(), outputs.detach().clone()))
            saved.append(SavedTensor(inputs))

        leaves = self._leaves()
        with torch.enable_grad():
            logits = self._pass(images, leaves, visit)
        expected = Counter(id(leaves[name]) for layer in names for name in self._parameters[layer].values())
        complete = (
            len(names) == len(set(names))
            and _uses(logits) == expected
            and not any(inputs.was_modified() for inputs in saved)
        )
        return [*traced, logits.detach()], complete

    def _parameters_of(self, layer: str) -> dict[str, str]:
        """Map the names of a layer's direct parameters to their names in the model."""
        prefix = f"{layer}." if layer else ""
        return {name: prefix + name for name, _ in self._layers[layer].named_parameters(recurse=False)}

    def _leaves(self) -> dict[str, Tensor]:
        """Return detached parameters, of which the trainable ones require gradients."""
        return {
            name: value.detach().requires_grad_(name in self._trainable)
            for name, value in self._model.named_parameters()
        }

    def _span(self, layer: str) -> slice:
        """Return the columns of a layer's parameters, which are adjacent."""
        columns = [self._columns[full] for full in self._parameters[layer].values()]
        return slice(columns[0].start, columns[-1].stop)

    def _by_parameter(self, layer: str, gradients: Tensor) -> dict[str, Tensor]:
        """Return views `[n, *shape]` of a layer's gradients `[n, width]`, by the parameters' names in the layer."""
        names = list(self._parameters[layer].items())
        parts = gradients.split([self._shapes[full].numel() for _, full in names], dim=1)
        return {
            name: part.view(len(gradients), *self._shapes[full])
            for (name, full), part in zip(names, parts, strict=True)
        }

    def _pass(self, images: Tensor, leaves: dict[str, Tensor], visit: Visit) -> Tensor:
        """Run the forward pass with a hook on each layer, and return the logits."""
        with self._hooks(visit):
            return functional_call(self._model, leaves, (images,))

    @contextmanager
    def _hooks(self, visit: Visit) -> Iterator[None]:
        """Attach hooks that call `visit` to all layers."""

        def hook_of(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
            return lambda _, inputs, outputs: visit(name, inputs[0], outputs)

        # These hooks run before all others, which may replace the outputs.
        handles = [
            layer.register_forward_hook(hook_of(name), prepend=True) for name, layer in self._layers.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def layers_of(model: nn.Module, parameters: Collection[str]) -> dict[str, nn.Module]:
    """Return the modules that directly hold some parameters, by name.

    Args:
        model: The model.
        parameters: Names of parameters of the model.
    """
    return {
        name: module
        for name, module in model.named_modules()
        if any(
            f"{name}.{parameter}".removeprefix(".") in parameters
            for parameter, _ in module.named_parameters(recurse=False)
        )
    }


def _far_from(image: Tensor) -> Tensor:
    """Return an image that differs from another in mean, extremes and noise."""
    ramp = torch.linspace(-9, 7, image.numel(), dtype=image.dtype, device=image.device)
    return torch.empty_like(image).copy_(ramp.view(image.shape))


def _uses(result: Tensor) -> Counter[int]:
    """Count the uses of each leaf in a computation, by the id of the leaf."""
    uses: Counter[int] = Counter()
    pending: list[Node | None] = [result.grad_fn]
    visited = set(pending)
    while pending:
        node = pending.pop()
        for parent, _ in node.next_functions if node else ():
            leaf = getattr(parent, "variable", None)
            if leaf is not None:
                uses[id(leaf)] += 1
            elif parent not in visited:
                visited.add(parent)
                pending.append(parent)
    return uses
