"""Test of whether a model's per-sample gradients can be computed layer by layer, by passes of two samples."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.func import functional_call

from palimpsest.gradients.data_dependence import DataDependence
from palimpsest.gradients.layer_uses import Use, observe
from palimpsest.gradients.saved_tensor import SavedTensor


class Trace(NamedTuple):
    """Trace of a forward pass.

    Args:
        tensors: The tensors of each use of a layer, and the logits last: as they are, or one row of each.
        shared: Whether a layer was called with one row for all samples.
        complete: Whether the uses account for every use of every parameter.
    """

    tensors: list[Tensor]
    shared: bool
    complete: bool


class LayerProbe:
    """Passes of two samples that show whether the samples stay apart in every layer.

    Args:
        model: The model, in eval mode.
        layers: Its layers with trainable parameters, by name; each has a rule.
        trainable: Names of the trainable parameters.
    """

    def __init__(self, model: nn.Module, layers: Mapping[str, nn.Module], trainable: Collection[str]) -> None:
        """Detach the parameters."""
        self._model = model
        self._layers = layers
        self._leaves = {
            name: value.detach().requires_grad_(name in trainable) for name, value in model.named_parameters()
        }

    def accepts(self, images: Tensor) -> bool:
        """Return True if the gradients of such images can be computed layer by layer.

        The computation must not depend on values by branches or shapes, and no layer may mix samples: the first row of
        every layer must stay bitwise the same when the second sample changes. Where a layer has one row for all
        samples, each sample gets a row of its own, which must affect this sample only.

        Args:
            images: At least one image of the shape that the engine will be called with, `[n, ...]`.
        """
        image = images[:1]
        other = _far_from(image) if image.is_floating_point() else images[-1:].flip(-1)
        try:
            with DataDependence() as dependence:
                reference = self.trace(torch.cat([image, image]), dependence)
            if dependence.found or not reference.complete:
                return False
            return self._keeps_row(0, torch.cat([image, other]), reference) and (
                not reference.shared or self._keeps_row(1, torch.cat([other, image]), reference)
            )
        # A model may fail in any way on such images. The vmap engine then reports the error.
        except Exception:
            return False

    def trace(self, images: Tensor, dependence: DataDependence) -> Trace:
        """Trace a pass as it is, and check which parameters it uses.

        Args:
            images: `[n, ...]`.
            dependence: Context that is active, and paused where the pass is observed.
        """
        tensors, saved, expected, shared = list[Tensor](), list[SavedTensor](), Counter[int](), False

        def visit(use: Use) -> Tensor:
            nonlocal shared
            shared |= use.shared
            tensors.extend(tensor.detach().clone() for tensor in (*use.saved, use.values))
            saved.extend(map(SavedTensor, use.saved))
            if use.decomposed and not use.values.requires_grad:
                return use.values.detach().requires_grad_()
            if not use.decomposed:
                expected.update(
                    id(self._leaves[f"{use.layer}.{name}".removeprefix(".")]) for name in use.parameters
                )
            return use.values

        with torch.enable_grad(), observe(self._layers, visit, around=dependence.paused):
            logits = functional_call(self._model, self._leaves, (images,))
        with dependence.paused():
            complete = (
                logits.requires_grad
                # A layer whose outputs are not used has uses that the logits do not depend on.
                and all(count <= expected[leaf] for leaf, count in _uses(logits, self._leaves).items())
                and not any(tensor.was_modified() for tensor in saved)
            )
            return Trace([*tensors, logits.detach()], shared, complete)

    def _keeps_row(self, place: int, images: Tensor, reference: Trace) -> bool:
        """Return True if one of two rows of every layer is the same as in another pass, in which the other differs."""
        rows = list[Tensor]()

        def visit(use: Use) -> Tensor:
            use.check_rows(2)
            rows.extend(tensor[place].detach().clone() for tensor in (*use.saved, use.values))
            if use.shared:
                values = [use.values[place], _far_from(use.values[0])]
                return torch.stack(values if place == 0 else values[::-1])
            if use.decomposed and not use.values.requires_grad:
                return use.values.detach().requires_grad_()
            return use.values

        with torch.enable_grad(), observe(self._layers, visit, rows=2):
            logits = functional_call(self._model, self._leaves, (images,))
        rows.append(logits[place].detach())
        expected = [tensor[min(place, len(tensor) - 1)] for tensor in reference.tensors]
        return len(rows) == len(expected) and all(map(_equal_where_both_are, rows, expected))


def _equal_where_both_are(first: Tensor, second: Tensor) -> bool:
    """Return True if two rows are the same at the positions of both: padding is as long as the longest of a batch."""
    if first.shape == second.shape:
        return torch.equal(first, second)
    if first.dim() != second.dim():
        return False
    common = tuple(slice(min(sizes)) for sizes in zip(first.shape, second.shape, strict=True))
    return torch.equal(first[common], second[common])


def _far_from(values: Tensor) -> Tensor:
    """Return values of the same shape that differ from others in mean, extremes and noise."""
    ramp = torch.linspace(-9, 7, values.numel(), dtype=values.dtype, device=values.device)
    return torch.empty_like(values).copy_(ramp.view(values.shape))


def _uses(result: Tensor, leaves: Mapping[str, Tensor]) -> Counter[int]:
    """Count the uses of each of the leaves in a computation, by the id of the leaf."""
    counted = set(map(id, leaves.values()))
    uses: Counter[int] = Counter()
    pending: list[Node | None] = [result.grad_fn]
    visited = set(pending)
    while pending:
        node = pending.pop()
        for parent, _ in node.next_functions if node else ():
            leaf = getattr(parent, "variable", None)
            if leaf is not None and id(leaf) in counted:
                uses[id(leaf)] += 1
            elif leaf is None and parent not in visited:
                visited.add(parent)
                pending.append(parent)
    return uses
