"""Gradient differences of whole groups: the mean over a group's samples, without a vector for each sample."""

from contextlib import ExitStack

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from palimpsest.gradients.per_sample import check_same, eval_mode
from palimpsest.gradients.trainable import parameter_count, trainable_parameters
from palimpsest.system.memory import DEFAULT_BUDGET

# Most samples in one backward pass. The activations of a sample are assumed to take about as much memory as a gradient.
_MOST_ROWS = 1024
_FLOAT = 4


def mean_difference(
    original: nn.Module,
    unlearned: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    memory_budget: int = DEFAULT_BUDGET,
) -> Tensor:
    """Compute the mean of the gradient differences of a group, with one batched backward pass per model.

    The mean of the samples' gradients is the gradient of their mean loss, so no sample's own vector is formed. Both
    gradients use the same batches: other batch sizes round differently, see `difference_chunks`.

    Args:
        original: The model before unlearning.
        unlearned: The model after unlearning, of the same architecture.
        images: The group's samples, `[n, channels, height, width]` in [0, 1], n at least 1.
        labels: Class indices, `[n]`.
        memory_budget: Bytes that the computation may use; a group that exceeds it takes several passes.

    Returns:
        `[d]`, equal to `gradient_differences(...).mean(0)` up to rounding.

    Raises:
        ModelError: The models differ in the names or shapes of their parameters.
    """
    check_same(original, unlearned)
    assert len(images), "a group has at least one sample"
    rows = max(1, min(_MOST_ROWS, memory_budget // (2 * _FLOAT * parameter_count(original))))
    with ExitStack() as stack:
        for model in (original, unlearned):
            stack.enter_context(eval_mode(model))
        before, after = (_mean_gradient(model, images, labels, rows) for model in (original, unlearned))
    return before - after


def _mean_gradient(model: nn.Module, images: Tensor, labels: Tensor, rows: int) -> Tensor:
    """Return the gradient of the mean cross-entropy, summed over batches of at most `rows` samples, `[d]`."""
    # Detached copies share the memory of the parameters, which may be frozen and are not changed.
    parameters = {
        name: value.detach().requires_grad_() for name, value in trainable_parameters(model).items()
    }
    first = next(iter(parameters.values()))
    total = torch.zeros(parameter_count(model), dtype=first.dtype, device=first.device)
    for batch, targets in zip(images.split(rows), labels.split(rows), strict=True):
        with torch.enable_grad():
            logits = functional_call(model, parameters, (batch.to(first.device),))
            loss = F.cross_entropy(logits, targets.to(first.device), reduction="sum")
        parts = torch.autograd.grad(loss, list(parameters.values()), materialize_grads=True)
        total += torch.cat([part.flatten() for part in parts])
    return total / len(images)
