"""Per-sample gradients of a batch from one forward pass, one backward pass and a rule for each layer.

A layer's parameters enter the loss through the layer's outputs alone. So a sample's gradient follows from the layer's
inputs and from the loss's gradient at its outputs, and ordinary batched passes give both, as fast as the library can.
The model is neither wrapped nor changed; hooks are attached for the time of a pass.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge
from torch.func import functional_call

from palimpsest.gradients.layer_rules import PerSampleRule, find_per_sample_rule
from palimpsest.gradients.saved_tensor import SavedTensor

Visit = Callable[[str, Tensor, Tensor], None]
"""Called at each use of a layer with its name, inputs and outputs."""
Destination = Callable[[str], tuple[Tensor, Callable[[], None] | None]]
"""From a layer's name to the tensor `[n, width]` for its gradients, and a function to call once they are written."""


class Layerwise:
    """The gradients of one model, layer by layer.

    Args:
        model: In eval mode, whenever it is used.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._layers = layers_of(model)
        self._parameters = {name: self._parameters_of(name) for name in self._layers}
        self._shapes = {name: value.shape for name, value in model.named_parameters()}
        self._columns: dict[str, slice] = {}
        self._buffer: Tensor | None = None
        start = 0
        for name, parameter in model.named_parameters():
            self._columns[name] = slice(start, start + parameter.numel())
            start += parameter.numel()

    def suits(self, images: Tensor) -> bool:
        """Whether the model's gradients can be computed layer by layer.

        Each parameter must belong to one layer, each layer must have a rule and be used at most once, and no layer may
        mix samples. The last is tested with two samples: the first row of every layer must stay the same, to the last
        bit, when the second sample changes.

        Args:
            images: At least one, `[n, ...]`.
        """
        named = [name for names in self._parameters.values() for name in names.values()]
        rules = map(find_per_sample_rule, self._layers.values())
        if sorted(named) != sorted(self._columns) or not all(rules):
            return False
        image = images[:1]
        other = _far_from(image) if image.is_floating_point() else images[-1:].flip(-1)
        try:
            alone, explained = self._trace(torch.cat([image, image]))
            beside, _ = self._trace(torch.cat([image, other]))
        # A model may fail in any way with such images; the engine for any model then reports its error.
        except Exception:
            return False
        return (
            explained
            and len(alone) == len(beside)
            and all(len(one) == len(two) == 2 for one, two in zip(alone, beside, strict=True))
            and all(torch.equal(one[0], two[0]) for one, two in zip(alone, beside, strict=True))
        )

    @property
    def widest(self) -> int:
        """The most parameters that one layer has."""
        return max(columns.stop - columns.start for columns in map(self._span, self._layers))

    def write(self, images: Tensor, labels: Tensor, out: Tensor) -> None:
        """Write each sample's gradient of the cross-entropy into the rows of a matrix.

        Each layer's gradients are computed when the backward pass reaches it, while its tensors are in the cache.

        Args:
            images: `[n, ...]`, of a shape that `suits` accepts.
            labels: `[n]`.
            out: `[n, d]`.
        """
        for name in self._differentiate(images, labels, lambda name: (out[:, self._span(name)], None)):
            out[:, self._span(name)].zero_()

    def each(self, images: Tensor, labels: Tensor, take: Callable[[int, Tensor], None]) -> None:
        """Hand over each sample's gradient layer by layer, without forming whole vectors.

        Args:
            images: `[n, ...]`, of a shape that `suits` accepts.
            labels: `[n]`.
            take: Called for each layer with its first column and its gradients `[n, width]`. The next call overwrites
                them.
        """
        buffer = self._buffer_for(images)

        def destination(name: str) -> tuple[Tensor, Callable[[], None]]:
            columns = self._span(name)
            width = columns.stop - columns.start
            gradients = buffer[: len(images) * width].view(len(images), width)
            return gradients, lambda: take(columns.start, gradients)

        self._differentiate(images, labels, destination)

    def _buffer_for(self, images: Tensor) -> Tensor:
        """Memory for the widest layer's gradients, the same in every call: the system clears new memory first."""
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
        """Compute each layer's gradients at its destination; returns the names of unused layers, which have none."""
        unused, sources = set(self._layers), list[GradientEdge]()

        def visit(name: str, inputs: Tensor, outputs: Tensor) -> None:
            unused.discard(name)
            saved = SavedTensor(inputs)

            def compute(grad_outputs: Tensor) -> None:
                gradients, written = destination(name)
                self._rule(name)(
                    self._layers[name], saved.get(), grad_outputs, self._by_parameter(name, gradients)
                )
                if written:
                    written()

            outputs.register_hook(compute)
            if not inputs.requires_grad:
                sources.append(get_gradient_edge(outputs))

        with torch.enable_grad():
            loss = F.cross_entropy(self._pass(images, self._leaves(), visit), labels, reduction="sum")
        # Only the first layers' outputs are asked for, so the pass computes no gradient of a weight.
        torch.autograd.grad(loss, sources)
        return unused

    def _rule(self, name: str) -> PerSampleRule:
        rule = find_per_sample_rule(self._layers[name])
        assert rule is not None, "excluded by `suits`"
        return rule

    def _trace(self, images: Tensor) -> tuple[list[Tensor], bool]:
        """Each layer's inputs and outputs, and whether they account for every use of every parameter."""
        traced, names, saved = list[Tensor](), list[str](), list[SavedTensor]()

        def visit(name: str, inputs: Tensor, outputs: Tensor) -> None:
            names.append(name)
            traced.extend((inputs.detach().clone(), outputs.detach().clone()))
            saved.append(SavedTensor(inputs))

        leaves = self._leaves()
        with torch.enable_grad():
            logits = self._pass(images, leaves, visit)
        expected = Counter(id(leaves[name]) for layer in names for name in self._parameters[layer].values())
        explained = (
            len(names) == len(set(names))
            and _uses(logits) == expected
            and not any(inputs.was_modified() for inputs in saved)
        )
        return [*traced, logits.detach()], explained

    def _parameters_of(self, layer: str) -> dict[str, str]:
        """A layer's own parameters: from their names in the layer to those in the model."""
        prefix = f"{layer}." if layer else ""
        return {name: prefix + name for name, _ in self._layers[layer].named_parameters(recurse=False)}

    def _leaves(self) -> dict[str, Tensor]:
        # A frozen parameter has a gradient too.
        return {name: value.detach().requires_grad_() for name, value in self._model.named_parameters()}

    def _span(self, layer: str) -> slice:
        """The columns of a layer's parameters, which are adjacent."""
        columns = [self._columns[full] for full in self._parameters[layer].values()]
        return slice(columns[0].start, columns[-1].stop)

    def _by_parameter(self, layer: str, gradients: Tensor) -> dict[str, Tensor]:
        """Views of a layer's gradients `[n, width]` as `[n, *shape]`, by the parameters' names in the layer."""
        names = list(self._parameters[layer].items())
        parts = gradients.split([self._shapes[full].numel() for _, full in names], dim=1)
        return {
            name: part.view(len(gradients), *self._shapes[full])
            for (name, full), part in zip(names, parts, strict=True)
        }

    def _pass(self, images: Tensor, leaves: dict[str, Tensor], visit: Visit) -> Tensor:
        with self._visited(visit):
            return functional_call(self._model, leaves, (images,))

    @contextmanager
    def _visited(self, visit: Visit) -> Iterator[None]:
        def hook_of(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
            return lambda _, inputs, outputs: visit(name, inputs[0], outputs)

        # Before all other hooks, which may replace the outputs.
        handles = [
            layer.register_forward_hook(hook_of(name), prepend=True) for name, layer in self._layers.items()
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def layers_of(model: nn.Module) -> dict[str, nn.Module]:
    """The modules that have parameters of their own, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    }


def _far_from(image: Tensor) -> Tensor:
    """An image whose mean, extremes and noise all differ from those of another."""
    ramp = torch.linspace(-9, 7, image.numel(), dtype=image.dtype, device=image.device)
    return torch.empty_like(image).copy_(ramp.view(image.shape))


def _uses(result: Tensor) -> Counter[int]:
    """How often each leaf enters a computation, by the leaf's identity."""
    uses: Counter[int] = Counter()
    waiting: list[Node | None] = [result.grad_fn]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        for parent, _ in node.next_functions if node else ():
            leaf = getattr(parent, "variable", None)
            if leaf is not None:
                uses[id(leaf)] += 1
            elif parent not in seen:
                seen.add(parent)
                waiting.append(parent)
    return uses
