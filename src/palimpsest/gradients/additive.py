"""Linear functions of gradient differences, summed layer by layer without forming whole vectors."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from palimpsest.gradients.dispatch import find_layerwise
from palimpsest.gradients.layer_uses import RowCountError
from palimpsest.gradients.per_sample import (
    check_same,
    chunk_size,
    difference_chunks,
    eval_mode,
    parameter_count,
)


@runtime_checkable
class Additive(Protocol):
    """Linear function of a vector that is a sum over its columns, such as a sketch or a projection."""

    @property
    def components(self) -> int:
        """Length k of the result."""
        ...

    def __call__(self, vectors: Tensor, /) -> Tensor:
        """Map vectors `[n, d]` to `[n, k]`."""
        ...

    def add(self, result: Tensor, columns: Tensor, *, start: int, sign: int = 1) -> None:
        """Add the contribution of a range of columns.

        Args:
            result: Sum that the contribution is added to in place, `[n, k]`.
            columns: Adjacent columns of the vectors, `[n, width]`.
            start: Index of the first of these columns.
            sign: 1 to add the contribution, -1 to subtract it.
        """
        ...


def read_differences(
    original: nn.Module,
    unlearned: nn.Module,
    images: Tensor,
    labels: Tensor,
    reduction: Additive,
    *,
    memory_budget: int,
) -> Iterator[Tensor]:
    """Apply a linear function to the rows of `difference_chunks`, and yield the results in chunks `[b, k]`.

    Each layer's gradients are added as soon as they are computed, first at the original model and then at the unlearned
    one. Whole vectors are formed only if a model has no layer-by-layer engine, or this engine fails for a chunk.

    Args:
        original: The model before unlearning.
        unlearned: The model after unlearning, of the same architecture.
        images: `[n, channels, height, width]` in [0, 1].
        labels: Class indices, `[n]`.
        reduction: The linear function.
        memory_budget: Bytes that a chunk may use.

    Yields:
        `[b, k]` on the CPU, in order.

    Raises:
        ModelError: The models differ in the names or shapes of their parameters, or a layer has no per-sample gradient.
        ResourceError: The budget is too small for one sample.
    """
    check_same(original, unlearned)
    parameter = next(original.parameters())
    with ExitStack() as stack:
        for model in (original, unlearned):
            stack.enter_context(eval_mode(model))
        layerwise_engines = [
            find_layerwise(model, images[:2].to(parameter.device)) for model in (original, unlearned)
        ]
        engines = [engine for engine in layerwise_engines if engine is not None] if len(images) else []
        if len(engines) < len(layerwise_engines):
            chunks = difference_chunks(original, unlearned, images, labels, memory_budget=memory_budget)
            yield from (reduction(chunk.cpu()) for chunk in chunks)
            return
        width = min(parameter_count(original), engines[0][0].widest + reduction.components)
        rows = chunk_size(width, memory_budget, parameter.device)
        for samples, targets in zip(images.split(rows), labels.split(rows), strict=True):
            result = torch.zeros(
                len(samples), reduction.components, dtype=parameter.dtype, device=parameter.device
            )
            try:
                for sign, (layerwise, layout) in zip((1, -1), engines, strict=True):
                    batch = samples.to(parameter.device).contiguous(memory_format=layout)
                    layerwise.for_each_layer(
                        batch, targets.to(parameter.device), _adder(reduction, result, sign)
                    )
            except RowCountError:
                chunks = difference_chunks(original, unlearned, samples, targets, memory_budget=memory_budget)
                yield from (reduction(chunk.cpu()) for chunk in chunks)
            else:
                yield result.cpu()


def _adder(reduction: Additive, result: Tensor, sign: int) -> Callable[[int, Tensor], None]:
    """Return a callback that adds the columns of a layer to the result."""
    return lambda start, columns: reduction.add(result, columns, start=start, sign=sign)
