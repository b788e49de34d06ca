"""Accuracy of a classifier, and the distance between two models' parameters."""

import torch
from torch import Tensor, nn

from palimpsest.datasets import ImageSet
from palimpsest.models import laid_out_for
from palimpsest.storage import Parameters

# The activations of larger batches do not stay in the cache.
BATCH = 128


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, *, batch_size: int = BATCH) -> Tensor:
    """Return the model's logits in eval mode, and restore its mode afterwards.

    Args:
        model: A classifier.
        images: `[n, channels, height, width]` in [0, 1], at least one.
        batch_size: Images in a batch.

    Returns:
        Logits, `[n, classes]`, in main memory.
    """
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    logits = torch.cat(
        [model(laid_out_for(model, batch.to(device))).cpu() for batch in images.split(batch_size)]
    )
    model.train(training)
    return logits


def accuracy(model: nn.Module, images: ImageSet, *, batch_size: int = BATCH) -> float:
    """Return the share of images that the model classifies correctly, in [0, 1].

    Args:
        model: A classifier.
        images: Labeled images, at least one.
        batch_size: Images in a batch.

    Returns:
        The accuracy.
    """
    return top1_accuracy(predict(model, images.images, batch_size=batch_size), images.labels)


def top1_accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of rows whose largest logit is the label's, in [0, 1].

    Args:
        logits: `[n, classes]`.
        labels: Class indices, `[n]`.

    Returns:
        The accuracy.
    """
    return (logits.argmax(1) == labels).double().mean().item()


def parameter_distance(one: Parameters, other: Parameters, model: nn.Module) -> float:
    """Return the L2 distance between two models' parameters, without buffers.

    Args:
        one: State dict of one model.
        other: State dict of the other model.
        model: Instance of their architecture, which distinguishes parameters from buffers.

    Returns:
        The distance.
    """
    squares = [
        (one[name].double() - other[name].double()).square().sum() for name, _ in model.named_parameters()
    ]
    return torch.stack(squares).sum().sqrt().item()
