"""Per-sample gradients and their differences: one flat vector for each image, computed in chunks."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from palimpsest.errors import ModelError, ResourceError
from palimpsest.gradients.buffer_pool import BufferPool
from palimpsest.gradients.dispatch import select_engine
from palimpsest.progress import progress_line
from palimpsest.system.memory import DEFAULT_BUDGET

# On a CPU small chunks are fastest: large enough to outweigh the calls, small enough for the cache. A chunk has 64
# samples; up to 128 if its gradients then stay below the first size, down to 4 if they would exceed the second.
_SMALL, _LARGE = 8 * 2**20, 128 * 2**20
_FEWEST, _USUAL, _MOST = 4, 64, 128
# A GPU is fastest with large chunks.
_WIDE = 512
# A chunk holds its gradients, their flat copy, and activations of about the same size.
_COPIES = 4


def parameter_count(model: nn.Module) -> int:
    """The dimension d of a model's flattened gradient."""
    return sum(parameter.numel() for parameter in model.parameters())


def chunk_size(dimension: int, memory_budget: int, device: torch.device) -> int:
    """How many samples' gradients are computed at once.

    Args:
        dimension: Length d of one gradient.
        memory_budget: Bytes that a chunk may take.
        device: The device that computes it.

    Raises:
        ResourceError: Not even one sample fits.
    """
    fitting = memory_budget // (_COPIES * 4 * dimension)
    if fitting < 1:
        raise ResourceError(
            f"One gradient of {dimension:,} floats needs {_COPIES * 4 * dimension:,} bytes, the memory budget is "
            f"{memory_budget:,}: raise --memory-budget."
        )
    if device.type != "cpu":
        return min(fitting, _WIDE)
    largest, smallest = (size // (4 * dimension) for size in (_LARGE, _SMALL))
    return min(fitting, max(_FEWEST, min(largest, max(_USUAL, min(smallest, _MOST)))))


def per_sample_gradients(
    model: nn.Module, images: Tensor, labels: Tensor, *, memory_budget: int = DEFAULT_BUDGET
) -> Tensor:
    """The gradient of the cross-entropy of each sample, in eval mode (IGF, section 3.1).

    Args:
        model: Any module without a layer that mixes the samples of a batch; it is neither wrapped nor changed.
        images: `[n, channels, height, width]` in [0, 1].
        labels: Class indices, `[n]`.
        memory_budget: Bytes that the work may take beyond the result.

    Returns:
        `[n, d]` float32, parameters flattened and concatenated in `named_parameters()` order.

    Raises:
        ModelError: A layer has no per-sample gradient.
        ResourceError: Not even one sample fits the budget.
    """
    return _whole([model], images, labels, memory_budget)


def gradient_chunks(
    model: nn.Module, images: Tensor, labels: Tensor, *, memory_budget: int = DEFAULT_BUDGET
) -> Iterator[Tensor]:
    """The rows of `per_sample_gradients`, a chunk `[b, d]` at a time; arguments and errors are the same.

    A chunk is the caller's: it may be kept or changed, and no later chunk is written to its memory.
    """
    yield from _chunks([model], images, labels, memory_budget)


def gradient_differences(
    original: nn.Module,
    unlearned: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    memory_budget: int = DEFAULT_BUDGET,
) -> Tensor:
    """Each sample's gradient at the original model minus that at the unlearned one, as a proof of federated unlearning
    has it (IGF, section 3.1, Verification in FU).

    Args:
        original: The model before unlearning.
        unlearned: The model after it, of the same architecture.
        images: `[n, channels, height, width]` in [0, 1].
        labels: Class indices, `[n]`.
        memory_budget: Bytes that the work may take beyond the result.

    Returns:
        `[n, d]` float32.

    Raises:
        ModelError: The models differ in their parameters, or a layer has no per-sample gradient.
        ResourceError: Not even one sample fits the budget.
    """
    check_same(original, unlearned)
    return _whole([original, unlearned], images, labels, memory_budget)


def difference_chunks(
    original: nn.Module,
    unlearned: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    memory_budget: int = DEFAULT_BUDGET,
) -> Iterator[Tensor]:
    """The rows of `gradient_differences`, a chunk `[b, d]` at a time; arguments and errors are the same.

    A chunk is the caller's, as in `gradient_chunks`. Both sides of a difference come from the same batched path:
    float32 kernels for other batch sizes round differently, and a ReLU near zero turns that into an error as large as
    the difference.
    """
    check_same(original, unlearned)
    yield from _chunks([original, unlearned], images, labels, memory_budget)


def check_same(original: nn.Module, unlearned: nn.Module) -> None:
    """Refuse two models of different architectures.

    Raises:
        ModelError: Their parameters differ in names or shapes.
    """
    before = {name: tuple(value.shape) for name, value in original.named_parameters()}
    after = {name: tuple(value.shape) for name, value in unlearned.named_parameters()}
    if before != after:
        name = next(iter(dict(before.items() ^ after.items())))
        raise ModelError(
            f"The models differ: {name!r} has shape {before.get(name)} before and {after.get(name)} after unlearning; "
            "give two checkpoints of one architecture."
        )


def _whole(models: list[nn.Module], images: Tensor, labels: Tensor, memory_budget: int) -> Tensor:
    """All rows in one matrix, without a copy of each chunk."""
    parameter = next(models[0].parameters())
    result = torch.empty(
        len(images), parameter_count(models[0]), dtype=parameter.dtype, device=parameter.device
    )
    with progress_line("per-sample gradients", len(images)) as line:
        for chunk in _chunks(models, images, labels, memory_budget, result):
            line.advance(len(chunk))
    return result


def _chunks(
    models: list[nn.Module], images: Tensor, labels: Tensor, memory_budget: int, out: Tensor | None = None
) -> Iterator[Tensor]:
    """The gradients at the first model, minus those at the second if there is one.

    Chunks are written into the rows of `out`, or, if that is omitted, each into memory that nothing else refers to.
    """
    parameter, dimension = next(models[0].parameters()), parameter_count(models[0])
    dtype, device = parameter.dtype, parameter.device
    rows = min(len(images), chunk_size(dimension, memory_budget, device))
    if not rows:
        return
    with ExitStack() as stack:
        for model in models:
            stack.enter_context(eval_mode(model))
        engines = [select_engine(model, images[:2].to(device)) for model in models]
        subtracted = torch.empty(rows, dimension, dtype=dtype, device=device) if models[1:] else None
        pool = BufferPool(rows, dimension, dtype=dtype, device=device)
        for start in range(0, len(images), rows):
            batch = images[start : start + rows].to(device)
            targets = labels[start : start + rows].to(device)
            gradients = pool.take(len(batch)) if out is None else out[start : start + rows]
            engines[0](batch, targets, gradients)
            if subtracted is not None:
                engines[1](batch, targets, subtracted[: len(batch)])
                gradients -= subtracted[: len(batch)]
            yield gradients


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Set a model to eval mode, and restore each module's mode at the end.

    In train mode batch statistics would mix samples, and dropout would make a proof random.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
