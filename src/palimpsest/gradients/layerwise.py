"""Per-sample gradients of a batch from one forward pass, one backward pass and a rule for each layer.

A layer's parameters affect the loss only through the layer's outputs. A sample's gradient therefore follows from the
layer's inputs and the backpropagated gradient at its outputs, summed over the uses of the layer. Ordinary batched
passes compute both at full speed. The model is neither wrapped nor changed; hooks are attached only during a pass.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.func import functional_call

from palimpsest.gradients.coverage import Coverage, columns_of, expanded, layers_of
from palimpsest.gradients.factor_projection import FactorProjection
from palimpsest.gradients.layer_parts import Consume, Part, Projector
from palimpsest.gradients.layer_probe import LayerProbe
from palimpsest.gradients.layer_rules import find_factored_rule
from palimpsest.gradients.layer_uses import Use, has_rule, observe
from palimpsest.gradients.saved_tensor import SavedTensor
from palimpsest.gradients.trainable import trainable_parameters


class Layerwise:
    """Engine that computes the per-sample gradients of one model layer by layer.

    Args:
        model: The model; it must be in eval mode whenever the engine is used.
        coverage: The parameters whose gradients are computed. If omitted, all trainable parameters.
    """

    def __init__(self, model: nn.Module, coverage: Coverage | None = None) -> None:
        """Locate the parameters of each layer in a flattened gradient."""
        self._model = model
        trainable = trainable_parameters(model)
        by_rule = trainable.keys() if coverage is None else coverage.by_rule
        self._copied = () if coverage is None else coverage.copied
        self._trainable = {
            name: value for name, value in trainable.items() if name in by_rule or name in self._copied
        }
        self._layers = layers_of(model, by_rule)
        self._by_rule = by_rule
        self._buffer: Tensor | None = None
        columns = columns_of(trainable)
        self._columns = {name: columns[name] for name in self._trainable}

    def supports(self, images: Tensor) -> bool:
        """Return True if the gradients of the parameters can be computed layer by layer.

        Each of the parameters must belong to one layer with a rule and be used only by it, and `LayerProbe` must accept
        the model. Parameters that are copied for each sample are checked by `copies_stay_apart`.

        Args:
            images: At least one image of the shape that the engine will be called with, `[n, ...]`.
        """
        named = dict(self._model.named_parameters())
        held = [
            f"{layer}.{name}".removeprefix(".")
            for layer, module in self._layers.items()
            for name, _ in module.named_parameters(recurse=False)
        ]
        tied = any(name not in named for name in held)
        if tied or not set(self._by_rule) <= set(held) or not all(map(has_rule, self._layers.values())):
            return False
        return LayerProbe(self._model, self._layers, self._by_rule).accepts(images)

    def computed_width(self, projector: Projector | None = None) -> int:
        """Return the number of parameters of the layer with the most gradients that are computed.

        Args:
            projector: Projects the gradients of some weights, which are then not counted. The weights of a layer with a
                decomposition always are, since it shows only in a pass which of them it can project.
        """
        widths = Counter[str]()
        for name, columns in self._columns.items():
            layer, _, kind = name.rpartition(".")
            projected = (
                projector is not None
                and name in self._by_rule
                and kind == "weight"
                and find_factored_rule(self._layers[layer]) is not None
                and self._factors(name, projector) is not None
            )
            widths[layer] += 0 if projected else columns.stop - columns.start
        return max(widths.values())

    def write(self, images: Tensor, labels: Tensor, out: Tensor) -> None:
        """Write each sample's gradient of the cross-entropy into the rows of a matrix.

        Each layer's gradients are computed when the backward pass reaches the layer, while its tensors are in the
        cache.

        Args:
            images: `[n, ...]`, of a shape that `supports` accepts.
            labels: Class indices, `[n]`.
            out: Receives the gradients, `[n, d]`.

        Raises:
            RowCountError: A layer's inputs are not one row for each sample, unlike in the probe.
        """
        written = set[str]()

        def consume(part: Part, grad_values: Tensor, saved: Sequence[Tensor]) -> None:
            gradients = out[:, self._span(part.names)]
            if written.isdisjoint(part.names):
                written.update(part.names)
                part.rule(grad_values, saved, self._by_parameter(part.names, gradients))
            else:
                # The layer is used again, and its gradients are the sum over the uses.
                further = torch.empty_like(gradients)
                part.rule(grad_values, saved, self._by_parameter(part.names, further))
                gradients.add_(further)

        self._differentiate(images, labels, consume)
        for name in self._columns.keys() - written:
            out[:, self._columns[name]].zero_()

    def for_each_layer(
        self,
        images: Tensor,
        labels: Tensor,
        callback: Callable[[int, Tensor], None],
        projector: Projector | None = None,
    ) -> None:
        """Pass the per-sample gradients at each use of a layer to a callback, without forming whole vectors.

        Args:
            images: `[n, ...]`, of a shape that `supports` accepts.
            labels: Class indices, `[n]`.
            callback: Called with the first column of some parameters and their gradients `[n, width]`. The gradients of
                a layer that is used several times are the sum over the calls. The next call overwrites the gradients.
            projector: Projects the gradients of the weights for which it has matrices; they are not computed, and the
                callback does not get them.

        Raises:
            RowCountError: A layer's inputs are not one row for each sample, unlike in the probe.
        """

        def consume(part: Part, grad_values: Tensor, saved: Sequence[Tensor]) -> None:
            projected = self._project(part, grad_values, saved, projector) if projector else set[str]()
            names = [name for name in part.names if name not in projected]
            if not names:
                return
            widths = [self._trainable[name].numel() for name in names]
            gradients = self._memory(len(images), sum(widths))
            part.rule(grad_values, saved, self._by_parameter(names, gradients))
            if not projected:
                callback(self._columns[names[0]].start, gradients)
                return
            for name, columns in zip(names, gradients.split(widths, dim=1), strict=True):
                callback(self._columns[name].start, columns)

        self._differentiate(images, labels, consume)

    def _project(
        self, part: Part, grad_values: Tensor, saved: Sequence[Tensor], projector: Projector
    ) -> set[str]:
        """Project the gradients of weights, and return the weights' names."""
        if part.factored is None:
            return set()
        names = {name.rpartition(".")[2]: name for name in part.names}
        factors = {
            key: found for key, name in names.items() if (found := self._factors(name, projector)) is not None
        }
        projected = part.factored(grad_values, saved, factors) if factors else {}
        for key, gradients in projected.items():
            projector.add(self._columns[names[key]].start, gradients)
        return {names[key] for key in projected}

    def _factors(self, name: str, projector: Projector) -> FactorProjection | None:
        """Return the matrices for the factors of a parameter's gradient, or None if it is to be computed."""
        shape = self._trainable[name].shape
        if len(shape) < 2:
            return None
        return projector.find(self._columns[name].start, (shape[0], shape[1:].numel()))

    def _memory(self, count: int, width: int) -> Tensor:
        """Return memory for gradients `[count, width]`; it is reused, since the system clears all new memory."""
        buffer, parameter = self._buffer, next(iter(self._trainable.values()))
        if buffer is None or buffer.device != parameter.device or buffer.numel() < count * width:
            buffer = torch.empty(count * width, dtype=parameter.dtype, device=parameter.device)
            self._buffer = buffer
        return buffer[: count * width].view(count, width)

    def _differentiate(self, images: Tensor, labels: Tensor, consume: Consume) -> None:
        """Pass what the gradients at each use of a layer follow from to a function, during the backward pass."""
        sources = list[GradientEdge]()

        def visit(use: Use) -> Tensor:
            use.check_rows(len(images))
            values = use.values
            if use.decomposed and not values.requires_grad:
                values = values.detach().requires_grad_()
                sources.append(get_gradient_edge(values))
            elif not use.decomposed and not use.saved[0].requires_grad:
                sources.append(get_gradient_edge(values))
            saved = [SavedTensor(tensor) for tensor in use.saved]
            # A hook that refers to its own tensor is never freed, and neither is what it writes to.
            part = Part(self._trainable_names(use), use.rule, use.factored)

            def compute(grad_values: Tensor) -> None:
                consume(part, grad_values, [tensor.get() for tensor in saved])

            if part.names:
                values.register_hook(compute)
            return values

        leaves = self._leaves()
        copies = {name: expanded(leaves[name], len(images)).requires_grad_() for name in self._copied}
        with torch.enable_grad():
            with observe(self._layers, visit, rows=len(images)):
                logits = functional_call(self._model, leaves | copies, (images,))
            loss = F.cross_entropy(logits, labels, reduction="sum")
        # The pass computes no gradient of a weight, since only those at the first layers' outputs are requested.
        edges = [*sources, *map(get_gradient_edge, copies.values())]
        gradients = torch.autograd.grad(loss, edges, allow_unused=True)[len(sources) :]
        for name, gradient in zip(copies, gradients, strict=True):
            if gradient is not None:
                consume(Part([name], _copy, None), gradient, [])

    def _trainable_names(self, use: Use) -> list[str]:
        """Return the names in the model of a use's trainable parameters."""
        names = [f"{use.layer}.{name}".removeprefix(".") for name in use.parameters]
        return [name for name in names if name in self._columns]

    def _leaves(self) -> dict[str, Tensor]:
        """Return detached parameters, of which the trainable ones require gradients."""
        return {
            name: value.detach().requires_grad_(name in self._by_rule)
            for name, value in self._model.named_parameters()
        }

    def _span(self, names: Sequence[str]) -> slice:
        """Return the columns of parameters that are adjacent."""
        return slice(self._columns[names[0]].start, self._columns[names[-1]].stop)

    def _by_parameter(self, names: Sequence[str], gradients: Tensor) -> dict[str, Tensor]:
        """Return views `[n, *shape]` of the gradients `[n, width]` of parameters, by the names in their layer."""
        shapes = [self._trainable[name].shape for name in names]
        parts = gradients.split([shape.numel() for shape in shapes], dim=1)
        return {
            name.rpartition(".")[2]: part.view(len(gradients), *shape)
            for name, shape, part in zip(names, shapes, parts, strict=True)
        }


def _copy(gradients: Tensor, saved: Sequence[Tensor], out: Mapping[str, Tensor]) -> None:
    """Write the gradients at a parameter's copies, one for each sample; see `PartRule`."""
    del saved
    (parameter,) = out.values()
    parameter.copy_(gradients.view_as(parameter))
