"""How good a classifier is on a set of images, and how far one is from another."""

import torch
from torch import Tensor, nn

from palimpsest.datasets import ImageSet
from palimpsest.models import laid_out_for
from palimpsest.storage import Parameters

# What a network makes of more images leaves the cache before it is used.
BATCH = 128


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, *, batch_size: int = BATCH) -> Tensor:
    """The model's logits in eval mode; its mode is put back afterwards.

    Args:
        model: A classifier.
        images: `[n, channels, height, width]` in [0, 1], at least one.
        batch_size: Images at a time.

    Returns:
        `[n, classes]`, in main memory.
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
    """The share of images that the model puts into their class, in [0, 1].

    Args:
        model: A classifier.
        images: At least one.
        batch_size: Images at a time.
    """
    return share_right(predict(model, images.images, batch_size=batch_size), images.labels)


def share_right(logits: Tensor, labels: Tensor) -> float:
    """The share of rows whose largest logit is the label's, in [0, 1].

    Args:
        logits: `[n, classes]`.
        labels: `[n]`.
    """
    return (logits.argmax(1) == labels).double().mean().item()


def parameter_distance(one: Parameters, other: Parameters, model: nn.Module) -> float:
    """The L2 distance of two models' parameters, buffers left out.

    Args:
        one: A state dict.
        other: Another one.
        model: An instance of their architecture, which tells parameters from buffers.
    """
    squares = [
        (one[name].double() - other[name].double()).square().sum() for name, _ in model.named_parameters()
    ]
    return torch.stack(squares).sum().sqrt().item()
