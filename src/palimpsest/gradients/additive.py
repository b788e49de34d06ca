"""Reading sums out of gradient differences layer by layer, where the vectors would be long and are not wanted."""

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
from palimpsest.system.memory import keep_freed_memory


@runtime_checkable
class Additive(Protocol):
    """A linear reading, to which every column of a vector contributes by itself: a sketch, or a projection."""

    @property
    def components(self) -> int:
        """How many numbers k are read out of a vector."""
        ...

    def __call__(self, vectors: Tensor, /) -> Tensor:
        """Read vectors, `[n, d]` to `[n, k]`."""
        ...

    def add(self, result: Tensor, columns: Tensor, *, start: int, sign: int = 1) -> None:
        """Add what some columns of vectors contribute.

        Args:
            result: `[n, k]`.
            columns: The vectors' columns from `start` on, `[n, width]`.
            start: The first column.
            sign: 1, or -1 to take it off.
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
    """What is read out of `difference_chunks`, a chunk `[b, k]` at a time; its arguments and errors.

    Each layer's gradients are read as soon as they are there, at one model and then at the other: the vectors are never
    formed. Where a model can't be read layer by layer, they are.
    """
    check_same(original, unlearned)
    some = next(original.parameters())
    with ExitStack() as stack:
        for model in (original, unlearned):
            stack.enter_context(eval_mode(model))
        found = [find_layerwise(model, images[:2].to(some.device)) for model in (original, unlearned)]
        ways = [one for one in found if one is not None] if len(images) else []
        if len(ways) < len(found):
            chunks = difference_chunks(original, unlearned, images, labels, memory_budget=memory_budget)
            yield from (reading(chunk.cpu()) for chunk in chunks)
            return
        held = min(parameter_count(original), ways[0][0].widest + reading.components)
        keep_freed_memory()
        rows = chunk_size(held, memory_budget, some.device)
        for few, theirs in zip(images.split(rows), labels.split(rows), strict=True):
            result = torch.zeros(len(few), reading.components, dtype=some.dtype, device=some.device)
            for sign, (layerwise, ordered) in zip((1, -1), ways, strict=True):
                batch = few.to(some.device).contiguous(memory_format=ordered)
                layerwise.each(batch, theirs.to(some.device), _adder(reading, result, sign))
            yield result.cpu()


def _adder(reading: Additive, result: Tensor, sign: int) -> Callable[[int, Tensor], None]:
    return lambda start, columns: reading.add(result, columns, start=start, sign=sign)
