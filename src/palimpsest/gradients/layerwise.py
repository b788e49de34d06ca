"""Per-sample gradients of a whole batch from one forward and one backward pass, and then a product for each layer.

A layer's parameters enter the loss through the layer's outputs alone. So a sample's gradient follows from what went
into the layer and from the loss's gradient at what came out, and ordinary batched passes give both, as fast as the
library can. The model is neither wrapped nor changed; hooks are attached for the time of a pass.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, Node, get_gradient_edge
from torch.func import functional_call

from palimpsest.gradients.layer_rules import find_rule

Visit = Callable[[str, Tensor, Tensor], None]
"""Told of each use of a layer: its name, what went in and what came out."""
Place = Callable[[str], tuple[Tensor, Callable[[], None] | None]]
"""Where a layer's gradients `[n, width]` are to be written, and what is to be done then."""


class Layerwise:
    """The gradients of one model, layer by layer.

    Args:
        model: In eval mode, whenever it is used.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._layers = layers_of(model)
        self._own = {name: self._parameters(name) for name in self._layers}
        self._shapes = {name: value.shape for name, value in model.named_parameters()}
        self._columns: dict[str, slice] = {}
        self._held: Tensor | None = None
        start = 0
        for name, parameter in model.named_parameters():
            self._columns[name] = slice(start, start + parameter.numel())
            start += parameter.numel()

    def suits(self, images: Tensor) -> bool:
        """Whether the model can be read layer by layer.

        Each parameter must belong to one layer, each layer have a rule and be used once at most, and no layer may see
        more than its own sample. The last is tried with two samples: the first row of every layer may not change, in a
        single bit, with the second sample.

        Args:
            images: At least one, `[n, ...]`.
        """
        named = [name for own in self._own.values() for name in own.values()]
        if sorted(named) != sorted(self._columns) or not all(map(find_rule, self._layers.values())):
            return False
        image = images[:1]
        other = _far_from(image) if image.is_floating_point() else images[-1:].flip(-1)
        try:
            alone, explained = self._seen(torch.cat([image, image]))
            beside, _ = self._seen(torch.cat([image, other]))
        # A model may fail in any way with such images: its error is told by the path that takes any model.
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

        Each layer's gradients are computed when the backward pass comes by, while its own are still in the cache.

        Args:
            images: `[n, ...]`, of a kind that `suits`.
            labels: `[n]`.
            out: `[n, d]`.
        """
        for name in self._differentiate(images, labels, lambda name: (out[:, self._span(name)], None)):
            out[:, self._span(name)].zero_()

    def each(self, images: Tensor, labels: Tensor, take: Callable[[int, Tensor], None]) -> None:
        """Hand over each sample's gradient layer by layer: no vector is ever whole.

        Args:
            images: `[n, ...]`, of a kind that `suits`.
            labels: `[n]`.
            take: Told of each layer: its first column, and its gradients `[n, width]`, which the next one overwrites.
        """
        memory = self._memory_for(images)

        def place(name: str) -> tuple[Tensor, Callable[[], None]]:
            columns = self._span(name)
            width = columns.stop - columns.start
            own = memory[: len(images) * width].view(len(images), width)
            return own, lambda: take(columns.start, own)

        self._differentiate(images, labels, place)

    def _memory_for(self, images: Tensor) -> Tensor:
        """Room for the widest layer's gradients, the same in every call: new memory would have to be cleared first."""
        held = self._held
        if (
            held is None
            or (held.dtype, held.device) != (images.dtype, images.device)
            or len(held) < len(images)
        ):
            held = torch.empty(len(images), self.widest, dtype=images.dtype, device=images.device)
            self._held = held
        return held.view(-1)

    def _differentiate(self, images: Tensor, labels: Tensor, place: Place) -> set[str]:
        """Compute each layer's gradients at its place; the names of the layers that were not used, which have none."""
        unused, sources = set(self._layers), list[GradientEdge]()

        def visit(name: str, inputs: Tensor, outputs: Tensor) -> None:
            unused.discard(name)
            layer, rule, version = self._layers[name], find_rule(self._layers[name]), inputs._version
            assert rule is not None, "refused by `suits`"

            def pull(gradient: Tensor) -> None:
                assert inputs._version == version, "refused by `suits`"
                own, done = place(name)
                rule(layer, inputs.detach(), gradient, self._views(name, own))
                if done:
                    done()

            outputs.register_hook(pull)
            if not inputs.requires_grad:
                sources.append(get_gradient_edge(outputs))

        with torch.enable_grad():
            loss = F.cross_entropy(self._pass(images, self._leaves(), visit), labels, reduction="sum")
        # Asked for the first layers' outputs alone, the pass computes no gradient of a weight.
        torch.autograd.grad(loss, sources)
        return unused

    def _seen(self, images: Tensor) -> tuple[list[Tensor], bool]:
        """What goes in and out of every layer, and whether that explains every use of every parameter."""
        seen, names, versions = list[Tensor](), list[str](), list[tuple[Tensor, int]]()

        def visit(name: str, inputs: Tensor, outputs: Tensor) -> None:
            names.append(name)
            seen.extend((inputs.detach().clone(), outputs.detach().clone()))
            versions.append((inputs, inputs._version))

        leaves = self._leaves()
        with torch.enable_grad():
            logits = self._pass(images, leaves, visit)
        expected = Counter(id(leaves[name]) for layer in names for name in self._own[layer].values())
        explained = (
            len(names) == len(set(names))
            and _uses(logits) == expected
            and all(inputs._version == version for inputs, version in versions)
        )
        return [*seen, logits.detach()], explained

    def _parameters(self, layer: str) -> dict[str, str]:
        """A layer's parameters: their names in it, and in the model."""
        prefix = f"{layer}." if layer else ""
        return {name: prefix + name for name, _ in self._layers[layer].named_parameters(recurse=False)}

    def _leaves(self) -> dict[str, Tensor]:
        # A frozen parameter has a gradient too.
        return {name: value.detach().requires_grad_() for name, value in self._model.named_parameters()}

    def _span(self, layer: str) -> slice:
        """The columns of a layer's parameters, which stand beside each other."""
        columns = [self._columns[full] for full in self._own[layer].values()]
        return slice(columns[0].start, columns[-1].stop)

    def _views(self, layer: str, own: Tensor) -> dict[str, Tensor]:
        """A layer's columns `[n, width]` as its parameters, `[n, *shape]`, by their names in it."""
        names = list(self._own[layer].items())
        parts = own.split([self._shapes[full].numel() for _, full in names], dim=1)
        return {
            name: part.view(len(own), *self._shapes[full])
            for (name, full), part in zip(names, parts, strict=True)
        }

    def _pass(self, images: Tensor, leaves: dict[str, Tensor], visit: Visit) -> Tensor:
        with self._visited(visit):
            return functional_call(self._model, leaves, (images,))

    @contextmanager
    def _visited(self, visit: Visit) -> Iterator[None]:
        def hook_of(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
            return lambda _, inputs, outputs: visit(name, inputs[0], outputs)

        # First of all hooks: others may put something else in the place of what came out.
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
    """An image that has nothing in common with another: its mean, its extremes and its noise are all different."""
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
