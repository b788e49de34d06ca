"""Linear functions of gradient differences, summed layer by layer without forming whole vectors."""

from collections.abc import Iterator
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from palimpsest.gradients.layer_uses import RowCountError
from palimpsest.gradients.linear_reduction import Additive
from palimpsest.gradients.per_sample import check_same, chunk_size, difference_chunks, eval_mode
from palimpsest.gradients.reduced_engine import find_reduced_engine
from palimpsest.gradients.trainable import parameter_count


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
    one; those of a weight that the function projects from both sides are not even computed. Whole vectors are formed
    only if a model has no layer-by-layer engine, or this engine fails for a chunk.

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
        found = [
            find_reduced_engine(model, images[:2].to(parameter.device), len(images)) if len(images) else None
            for model in (original, unlearned)
        ]
        engines = [engine for engine in found if engine is not None]
        if len(engines) < len(found):
            chunks = difference_chunks(original, unlearned, images, labels, memory_budget=memory_budget)
            yield from (reduction(chunk.cpu()) for chunk in chunks)
            return
        width = min(parameter_count(original), engines[0].width(reduction) + reduction.components)
        rows = chunk_size(width, memory_budget, parameter.device)
        for samples, targets in zip(images.split(rows), labels.split(rows), strict=True):
            result = torch.zeros(
                len(samples), reduction.components, dtype=parameter.dtype, device=parameter.device
            )
            batch, classes = samples.to(parameter.device), targets.to(parameter.device)
            try:
                for sign, engine in zip((1, -1), engines, strict=True):
                    engine.add_to(result, batch, classes, reduction, sign)
            except RowCountError:
                chunks = difference_chunks(original, unlearned, samples, targets, memory_budget=memory_budget)
                yield from (reduction(chunk.cpu()) for chunk in chunks)
            else:
                yield result.cpu()
