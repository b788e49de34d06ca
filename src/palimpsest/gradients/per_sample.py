"""Per-sample gradients and their differences: one flat vector for each sample, computed in chunks."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from palimpsest.errors import ModelError, ResourceError
from palimpsest.gradients.buffer_pool import BufferPool
from palimpsest.gradients.dispatch import select_engine
from palimpsest.gradients.trainable import parameter_count, trainable_parameters
from palimpsest.progress import progress_line
from palimpsest.system.memory import DEFAULT_BUDGET

# On a CPU, a chunk should be large enough to outweigh the overhead of a call and small enough for the cache. It has 64
# samples, up to 128 if their gradients fit the first size, and down to 4 if those of 64 samples exceed the second size.
_SMALL_CHUNK_BYTES, _LARGE_CHUNK_BYTES = 8 * 2**20, 128 * 2**20
_MIN_ROWS, _USUAL_ROWS, _MAX_ROWS = 4, 64, 128
# A GPU is fastest with large chunks.
_GPU_ROWS = 512
# A chunk needs memory for its gradients, a flat copy of them, and activations of about the same size.
_COPIES = 4


def chunk_size(dimension: int, memory_budget: int, device: torch.device) -> int:
    """Compute the number of samples in a chunk.

    Args:
        dimension: Length d of one gradient.
        memory_budget: Bytes that a chunk may use.
        device: Device on which the chunk is computed.

    Returns:
        The number of samples, at least 1.

    Raises:
        ResourceError: The budget is too small for one sample.
    """
    fitting = memory_budget // (_COPIES * 4 * dimension)
    if fitting < 1:
        raise ResourceError(
            f"One gradient of {dimension:,} floats needs {_COPIES * 4 * dimension:,} bytes, but the memory budget is "
            f"{memory_budget:,} bytes. Raise --memory-budget."
        )
    if device.type != "cpu":
        return min(fitting, _GPU_ROWS)
    largest, smallest = (size // (4 * dimension) for size in (_LARGE_CHUNK_BYTES, _SMALL_CHUNK_BYTES))
    return min(fitting, max(_MIN_ROWS, min(largest, max(_USUAL_ROWS, min(smallest, _MAX_ROWS)))))


def per_sample_gradients(
    model: nn.Module, images: Tensor, labels: Tensor, *, memory_budget: int = DEFAULT_BUDGET
) -> Tensor:
    """Compute the gradient of the cross-entropy at each sample, in eval mode (IGF, section 3.1).

    Args:
        model: Any module without layers that mix the samples of a batch. It is neither wrapped nor changed.
        images: `[n, channels, height, width]` in [0, 1].
        labels: Class indices, `[n]`.
        memory_budget: Bytes that the computation may use beyond the result; 4 GiB by default.

    Returns:
        `[n, d]` in the parameters' type and on their device. The columns are the trainable parameters
        (`trainable_parameters`), flattened and concatenated in `named_parameters()` order.

    Raises:
        ModelError: A layer has no per-sample gradient.
        ResourceError: The budget is too small for one sample.

    Example:
        >>> import torch
        >>> import palimpsest as pp
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> images, labels = torch.rand(3, 1, 2, 2), torch.tensor([0, 1, 1])
        >>> pp.per_sample_gradients(model, images, labels).shape
        torch.Size([3, 10])
    """
    return _all_rows([model], images, labels, memory_budget)


def gradient_chunks(
    model: nn.Module, images: Tensor, labels: Tensor, *, memory_budget: int = DEFAULT_BUDGET
) -> Iterator[Tensor]:
    """Yield the rows of `per_sample_gradients` in chunks `[b, d]`; arguments and errors are the same.

    The caller owns each chunk: it may be kept or changed, and no later chunk overwrites its memory.
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
    """Compute each sample's gradient at the original model minus the one at the unlearned model.

    These differences are the proofs of federated unlearning (IGF, section 3.1, Verification in FU).

    Args:
        original: The model before unlearning.
        unlearned: The model after unlearning, of the same architecture.
        images: `[n, channels, height, width]` in [0, 1].
        labels: Class indices, `[n]`.
        memory_budget: Bytes that the computation may use beyond the result; 4 GiB by default.

    Returns:
        `[n, d]`, as for `per_sample_gradients`.

    Raises:
        ModelError: The models differ in the names or shapes of their parameters, or a layer has no per-sample gradient.
        ResourceError: The budget is too small for one sample.

    Example:
        >>> import torch
        >>> import palimpsest as pp
        >>> original, unlearned = (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2)) for _ in range(2))
        >>> images, labels = torch.rand(3, 1, 2, 2), torch.tensor([0, 1, 1])
        >>> pp.gradient_differences(original, unlearned, images, labels).shape
        torch.Size([3, 10])
    """
    check_same(original, unlearned)
    return _all_rows([original, unlearned], images, labels, memory_budget)


def difference_chunks(
    original: nn.Module,
    unlearned: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    memory_budget: int = DEFAULT_BUDGET,
) -> Iterator[Tensor]:
    """Yield the rows of `gradient_differences` in chunks `[b, d]`; arguments and errors are the same.

    The caller owns each chunk, as in `gradient_chunks`. Both gradients of a difference are computed with the same batch
    size: float32 kernels round differently for other sizes, and a ReLU near zero turns that into an error as large as
    the difference.
    """
    check_same(original, unlearned)
    yield from _chunks([original, unlearned], images, labels, memory_budget)


def check_same(original: nn.Module, unlearned: nn.Module) -> None:
    """Check that two models have the same architecture.

    Args:
        original: The model before unlearning.
        unlearned: The model after unlearning.

    Raises:
        ModelError: The names or shapes of their trainable parameters differ.
    """
    before, after = (
        {name: tuple(value.shape) for name, value in trainable_parameters(model).items()}
        for model in (original, unlearned)
    )
    if before != after:
        name = next(iter(dict(before.items() ^ after.items())))
        raise ModelError(
            f"The models differ: {name!r} has shape {before.get(name)} before and {after.get(name)} after unlearning. "
            "Pass two checkpoints of one architecture."
        )


def _all_rows(models: list[nn.Module], images: Tensor, labels: Tensor, memory_budget: int) -> Tensor:
    """Return all rows in one matrix, to which the chunks are written directly."""
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
    """Yield the gradients at the first model, minus those at the second if there is one.

    The chunks are written into the rows of `out`. If it is omitted, each chunk gets memory that nothing else refers to.
    """
    parameter = next(models[0].parameters())
    dimension = parameter_count(models[0]) if out is None else out.shape[1]
    dtype, device = parameter.dtype, parameter.device
    rows = min(len(images), chunk_size(dimension, memory_budget, device))
    if not rows:
        return
    with ExitStack() as stack:
        for model in models:
            stack.enter_context(eval_mode(model))
        engines = [select_engine(model, images[:2].to(device), len(images)) for model in models]
        second_gradients = torch.empty(rows, dimension, dtype=dtype, device=device) if models[1:] else None
        pool = BufferPool(rows, dimension, dtype=dtype, device=device)
        for start in range(0, len(images), rows):
            batch = images[start : start + rows].to(device)
            targets = labels[start : start + rows].to(device)
            gradients = pool.take(len(batch)) if out is None else out[start : start + rows]
            engines[0].write(batch, targets, gradients)
            if second_gradients is not None:
                engines[1].write(batch, targets, second_gradients[: len(batch)])
                gradients -= second_gradients[: len(batch)]
            yield gradients


@contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Set a model to eval mode, and restore each module's mode at the end.

    In train mode, batch statistics would mix samples, and dropout would make proofs random.

    Args:
        model: The model.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
