"""Linear functions of gradient differences, summed layer by layer without forming the long vectors."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from palimpsest.gradients.dispatch import find_layerwise
from palimpsest.gradients.per_sample import (
    check_same,
    chunk_size,
    difference_chunks,
    eval_mode,
    parameter_count,
)


@runtime_checkable
class Additive(Protocol):
    """A linear function of a vector that is a sum over its columns: a sketch, or a projection."""

    @property
    def components(self) -> int:
        """Length k of the result."""
        ...

    def __call__(self, vectors: Tensor, /) -> Tensor:
        """Apply the function: vectors `[n, d]` to `[n, k]`."""
        ...

    def add(self, result: Tensor, columns: Tensor, *, start: int, sign: int = 1) -> None:
        """Add the contribution of some columns.

        Args:
            result: `[n, k]`.
            columns: The vectors' columns from `start` on, `[n, width]`.
            start: The first column.
            sign: 1, or -1 to subtract it.
        """
        ...


def read_differences(
    original: nn.Module,
    unlearned: nn.Module,
    images: Tensor,
    labels: Tensor,
    reading: Additive,
    *,
    memory_budget: int,
) -> Iterator[Tensor]:
    """Apply a linear function to the rows of `difference_chunks`, a chunk `[b, k]` at a time.

    Each layer's gradients are added as soon as they are computed, at one model and then at the other. The vectors are
    formed only if a model has no layer-by-layer engine. The other arguments and the errors are those of
    `difference_chunks`.
    """
    check_same(original, unlearned)
    parameter = next(original.parameters())
    with ExitStack() as stack:
        for model in (original, unlearned):
            stack.enter_context(eval_mode(model))
        found = [find_layerwise(model, images[:2].to(parameter.device)) for model in (original, unlearned)]
        engines = [engine for engine in found if engine is not None] if len(images) else []
        if len(engines) < len(found):
            chunks = difference_chunks(original, unlearned, images, labels, memory_budget=memory_budget)
            yield from (reading(chunk.cpu()) for chunk in chunks)
            return
        held = min(parameter_count(original), engines[0][0].widest + reading.components)
        rows = chunk_size(held, memory_budget, parameter.device)
        for samples, targets in zip(images.split(rows), labels.split(rows), strict=True):
            result = torch.zeros(
                len(samples), reading.components, dtype=parameter.dtype, device=parameter.device
            )
            for sign, (layerwise, layout) in zip((1, -1), engines, strict=True):
                batch = samples.to(parameter.device).contiguous(memory_format=layout)
                layerwise.each(batch, targets.to(parameter.device), _adder(reading, result, sign))
            yield result.cpu()


def _adder(reading: Additive, result: Tensor, sign: int) -> Callable[[int, Tensor], None]:
    return lambda start, columns: reading.add(result, columns, start=start, sign=sign)
