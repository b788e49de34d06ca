"""Per-sample gradients of a batch from one forward pass, one backward pass and a rule for each layer.

A layer's parameters affect the loss only through the layer's outputs. A sample's gradient therefore follows from the
layer's inputs and the backpropagated gradient at its outputs, summed over the uses of the layer. Ordinary batched
passes compute both at full speed. The model is neither wrapped nor changed; hooks are attached only during a pass.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.func import functional_call

from palimpsest.gradients.layer_probe import LayerProbe
from palimpsest.gradients.layer_uses import Use, has_rule, observe
from palimpsest.gradients.saved_tensor import SavedTensor
from palimpsest.gradients.trainable import trainable_parameters

Destination = Callable[[Sequence[str]], tuple[Tensor, Callable[[], object] | None]]
"""Maps names of adjacent parameters to a tensor `[n, width]` for their gradients at one use of a layer, and a function
to call once they are written."""


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
        self._columns: dict[str, slice] = {}
        self._buffer: Tensor | None = None
        start = 0
        for name, parameter in self._trainable.items():
            self._columns[name] = slice(start, start + parameter.numel())
            start += parameter.numel()

    def supports(self, images: Tensor) -> bool:
        """Return True if the model's gradients can be computed layer by layer.

        Each trainable parameter must belong to one layer with a rule and be used only by it, and `LayerProbe` must
        accept the model.

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
        if tied or not self._columns.keys() <= set(held) or not all(map(has_rule, self._layers.values())):
            return False
        return LayerProbe(self._model, self._layers, self._trainable).accepts(images)

    @property
    def widest(self) -> int:
        """Number of trainable parameters of the largest layer."""
        widths = Counter[str]()
        for name, columns in self._columns.items():
            widths[name.rpartition(".")[0]] += columns.stop - columns.start
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

        def destination(names: Sequence[str]) -> tuple[Tensor, Callable[[], object] | None]:
            gradients = out[:, self._span(names)]
            if written.isdisjoint(names):
                written.update(names)
                return gradients, None
            # The layer is used again, and its gradients are the sum over the uses.
            further = torch.empty_like(gradients)
            return further, lambda: gradients.add_(further)

        self._differentiate(images, labels, destination)
        for name in self._columns.keys() - written:
            out[:, self._columns[name]].zero_()

    def for_each_layer(self, images: Tensor, labels: Tensor, callback: Callable[[int, Tensor], None]) -> None:
        """Pass the per-sample gradients at each use of a layer to a callback, without forming whole vectors.

        Args:
            images: `[n, ...]`, of a shape that `supports` accepts.
            labels: Class indices, `[n]`.
            callback: Called with the first column of some parameters and their gradients `[n, width]`. The gradients of
                a layer that is used several times are the sum over the calls. The next call overwrites the gradients.

        Raises:
            RowCountError: A layer's inputs are not one row for each sample, unlike in the probe.
        """
        buffer = self._buffer_for(images)

        def destination(names: Sequence[str]) -> tuple[Tensor, Callable[[], None]]:
            columns = self._span(names)
            width = columns.stop - columns.start
            gradients = buffer[: len(images) * width].view(len(images), width)
            return gradients, lambda: callback(columns.start, gradients)

        self._differentiate(images, labels, destination)

    def _buffer_for(self, images: Tensor) -> Tensor:
        """Return memory for the largest layer's gradients; it is reused, since the system clears all new memory."""
        buffer, parameter = self._buffer, next(iter(self._trainable.values()))
        if buffer is None or buffer.device != parameter.device or len(buffer) < len(images):
            buffer = torch.empty(len(images), self.widest, dtype=parameter.dtype, device=parameter.device)
            self._buffer = buffer
        return buffer.view(-1)

    def _differentiate(self, images: Tensor, labels: Tensor, destination: Destination) -> None:
        """Write the gradients at each use of a layer to their destination."""
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
            names = self._trainable_names(use)
            # A hook that refers to its own tensor is never freed, and neither is what it writes to.
            rule = use.rule

            def compute(grad_values: Tensor) -> None:
                gradients, on_written = destination(names)
                out = self._by_parameter(names, gradients)
                rule(grad_values, [tensor.get() for tensor in saved], out)
                if on_written:
                    on_written()

            if names:
                values.register_hook(compute)
            return values

        with torch.enable_grad():
            with observe(self._layers, visit, rows=len(images)):
                logits = functional_call(self._model, self._leaves(), (images,))
            loss = F.cross_entropy(logits, labels, reduction="sum")
        # The pass computes no gradient of a weight, since only those at the first layers' outputs are requested.
        torch.autograd.grad(loss, sources, allow_unused=True)

    def _trainable_names(self, use: Use) -> list[str]:
        """Return the names in the model of a use's trainable parameters."""
        names = [f"{use.layer}.{name}".removeprefix(".") for name in use.parameters]
        return [name for name in names if name in self._columns]

    def _leaves(self) -> dict[str, Tensor]:
        """Return detached parameters, of which the trainable ones require gradients."""
        return {
            name: value.detach().requires_grad_(name in self._trainable)
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
