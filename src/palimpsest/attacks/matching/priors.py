"""Priors: the public images from which a search starts."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.func import vmap

from palimpsest.attacks.matching.distances import cosine
from palimpsest.attacks.matching.setup import ProblemSetup
from palimpsest.storage import Parameters

PriorName = Literal["mean", "nearest", "class", "blurred"]
_NOISE = 0.1


def mean_image(setup: ProblemSetup, targets: Tensor, generator: Generator) -> Tensor:
    """Take the mean public image for every sample.

    Args:
        setup: What the server holds.
        targets: Probabilities of the samples' classes, `[b, n, classes]`.
        generator: Not used.

    Returns:
        `[b, n, channels, height, width]`.
    """
    return setup.public.mean(dim=0).expand(*targets.shape[:2], -1, -1, -1)


def class_mean(setup: ProblemSetup, targets: Tensor, generator: Generator) -> Tensor:
    """Take the mean public image of each sample's class, weighted by its probabilities; arguments as `mean_image`.

    A class without public images counts with the mean of all of them.
    """
    overall = setup.public.mean(dim=0)
    means = [
        setup.public[setup.public_labels == label].mean(dim=0)
        if (setup.public_labels == label).any()
        else overall
        for label in range(setup.classes)
    ]
    return torch.einsum("bnk,kchw->bnchw", targets, torch.stack(means))


def blurred_image(setup: ProblemSetup, targets: Tensor, generator: Generator) -> Tensor:
    """Draw a public image for each sample and blur it: a baseline for priors; arguments as `mean_image`."""
    drawn = torch.randint(len(setup.public), targets.shape[:2], generator=generator)
    images = setup.public[drawn.to(setup.public.device)]
    kernel = max(1, min(images.shape[-2:]) // 8) * 2 + 1
    blurred = torch.nn.functional.avg_pool2d(
        images.flatten(0, 1), kernel, stride=1, padding=kernel // 2, count_include_pad=False
    )
    return blurred.unflatten(0, images.shape[:2])


PRIORS: dict[PriorName, Callable[[ProblemSetup, Tensor, Generator], Tensor]] = {
    "mean": mean_image,
    "class": class_mean,
    "blurred": blurred_image,
}


def nearest_images(setup: ProblemSetup, parameters: Parameters, gradients: Tensor, targets: Tensor) -> Tensor:
    """Choose for each sample the public image whose gradient, under the sample's label, has the nearest direction.

    Args:
        setup: What the server holds.
        parameters: Where gradients are taken.
        gradients: The samples' mean gradient, `[b, d]`.
        targets: Probabilities of the samples' classes, `[b, n, classes]`.

    Returns:
        `[b, n, channels, height, width]`; samples of one class in a batch get different images.
    """
    chosen = []
    for batch_gradient, batch_targets in zip(gradients, targets, strict=True):
        taken: dict[int, int] = {}
        for target in batch_targets:
            label = int(target.argmax())
            order = _angles(setup, parameters, batch_gradient, target).argsort()
            place = taken.get(label, 0) % len(order)
            taken[label] = place + 1
            chosen.append(setup.public[order[place]])
    return torch.stack(chosen).unflatten(0, targets.shape[:2])


def spread(images: Tensor, restarts: int, generator: Generator) -> Tensor:
    """Make several starts around images: the images, then the images with noise of standard deviation 0.1.

    Args:
        images: `[b, n, channels, height, width]`.
        restarts: Starts of each batch.
        generator: Draws the noise.

    Returns:
        `[b * restarts, n, channels, height, width]`.
    """
    noise = _NOISE * torch.randn(len(images), restarts, *images.shape[1:], generator=generator)
    noise[:, 0] = 0
    return (images[:, None] + noise.to(images)).flatten(0, 1)


def _angles(setup: ProblemSetup, parameters: Parameters, gradient: Tensor, target: Tensor) -> Tensor:
    """One minus the cosine between a gradient and that of each public image, `[m]`."""

    def distance(image: Tensor) -> Tensor:
        return cosine(setup.gradient(parameters, image[None], target[None]), gradient)

    return vmap(distance, chunk_size=min(setup.chunk(1), 64))(setup.public)
