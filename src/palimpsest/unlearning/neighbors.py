"""Nearest samples by the gradient of the last linear layer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.models import laid_out_for
from palimpsest.unlearning.last_layer import last_linear

_BATCH = 256


def nearest_by_gradient(
    model: nn.Module, images: Tensor, labels: Tensor, candidates: Tensor, candidate_labels: Tensor
) -> Tensor:
    """Find, for each sample, the candidate whose gradient of the last linear layer is nearest (L2).

    The gradient of the cross-entropy is the outer product of `softmax - one-hot` and the layer's input, so distances
    follow from inner products of both factors and no gradient is built.

    Args:
        model: A classifier with a linear layer, in any mode.
        images: Samples, `[n, channels, height, width]`.
        labels: Their classes, `[n]`.
        candidates: Candidate samples, `[m, channels, height, width]`, m at least 1.
        candidate_labels: Their classes, `[m]`.

    Returns:
        Index of the nearest candidate of each sample, `[n]` int64.

    Raises:
        UnlearningError: The model has no linear layer.
    """
    errors, inputs = _factors(model, images, labels)
    other_errors, other_inputs = _factors(model, candidates, candidate_labels)
    squares = other_errors.square().sum(1) * other_inputs.square().sum(1)
    products = (errors @ other_errors.T) * (inputs @ other_inputs.T)
    return (squares - 2 * products).argmin(1)


@torch.no_grad()
def _factors(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    kept: list[Tensor] = []

    def keep(_: nn.Module, arguments: tuple[Tensor, ...], __: Tensor) -> None:
        kept.append(arguments[0].flatten(1))

    training = model.training
    model.eval()
    handle = last_linear(model)[1].register_forward_hook(keep)
    try:
        logits = torch.cat([model(laid_out_for(model, batch)) for batch in images.split(_BATCH)])
    finally:
        handle.remove()
        model.train(training)
    errors = logits.softmax(1) - F.one_hot(labels, logits.shape[1])
    # The last input, which is always 1, belongs to the bias.
    inputs = torch.cat(kept)
    return errors, torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)
