"""Priors: public images that a search can start from."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.func import vmap

from palimpsest.attacks.matching.distances import cosine
from palimpsest.attacks.matching.problem import Term
from palimpsest.attacks.matching.setup import ProblemSetup
from palimpsest.storage import Parameters

PriorName = Literal["mean", "nearest", "class", "blurred"]
_NOISE = 0.1


def mean_image(setup: ProblemSetup, targets: Tensor, generator: Generator) -> Tensor:
    """Return the mean public image for every sample.

    Args:
        setup: The problem setup, which holds the public images.
        targets: Probabilities of the samples' classes, `[b, n, classes]`.
        generator: Not used.

    Returns:
        Images `[b, n, channels, height, width]`.
    """
    return setup.public.mean(dim=0).expand(*targets.shape[:2], -1, -1, -1)


def class_mean(setup: ProblemSetup, targets: Tensor, generator: Generator) -> Tensor:
    """Return the mean public image of each sample's class, weighted by the class probabilities.

    A class without public images is represented by the mean of all public images. The arguments are those of
    `mean_image`.
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
    """Draw a random public image for each sample and blur it, as a baseline for the other priors.

    The arguments are those of `mean_image`; the generator draws the images.
    """
    rows = torch.randint(len(setup.public), targets.shape[:2], generator=generator)
    images = setup.public[rows.to(setup.public.device)]
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


def prior_images(
    prior: PriorName, setup: ProblemSetup, term: Term, samples: slice, generator: Generator
) -> Tensor:
    """Choose the public images from which the search for some samples of each batch starts.

    Args:
        prior: Name of the prior.
        setup: The problem setup, which holds the public images.
        term: Observed gradient to which the samples contributed; the nearest images have a similar one.
        samples: Positions of the samples in each batch.
        generator: Source of the attack's randomness.

    Returns:
        Images `[b, n, channels, height, width]`.
    """
    targets = setup.probabilities(samples)
    if prior != "nearest":
        return PRIORS[prior](setup, targets, generator)
    gradients = term.observed
    if term.fixed is not None:
        known = setup.gradients(term.parameters, term.fixed)
        gradients = (gradients - (1 - term.share) * known) / term.share
    return nearest_images(setup, term.parameters, gradients, targets)


def nearest_images(setup: ProblemSetup, parameters: Parameters, gradients: Tensor, targets: Tensor) -> Tensor:
    """Choose for each sample the public image whose gradient is closest in direction to the samples' mean gradient.

    The gradients of the public images are computed with the sample's label.

    Args:
        setup: The problem setup, which holds the public images.
        parameters: Model parameters at which gradients are computed.
        gradients: The samples' mean gradient, `[b, d]`.
        targets: Probabilities of the samples' classes, `[b, n, classes]`.

    Returns:
        Images `[b, n, channels, height, width]`. Samples of one class in a batch get different
        images, as long as there are enough of them.
    """
    images = []
    for batch_gradient, batch_targets in zip(gradients, targets, strict=True):
        used_of_class: dict[int, int] = {}
        for target in batch_targets:
            label = int(target.argmax())
            nearest_first = _cosine_distances(setup, parameters, batch_gradient, target).argsort()
            index = used_of_class.get(label, 0) % len(nearest_first)
            used_of_class[label] = index + 1
            images.append(setup.public[nearest_first[index]])
    return torch.stack(images).unflatten(0, targets.shape[:2])


def perturbed_starts(images: Tensor, restarts: int, generator: Generator) -> Tensor:
    """Create several starts for each batch: the images themselves, then copies with Gaussian noise of scale 0.1.

    Args:
        images: `[b, n, channels, height, width]`.
        restarts: Number of starts of each batch.
        generator: Draws the noise.

    Returns:
        `[b * restarts, n, channels, height, width]`.
    """
    noise = _NOISE * torch.randn(len(images), restarts, *images.shape[1:], generator=generator)
    noise[:, 0] = 0
    return (images[:, None] + noise.to(images)).flatten(0, 1)


def _cosine_distances(
    setup: ProblemSetup, parameters: Parameters, gradient: Tensor, target: Tensor
) -> Tensor:
    """Compute the cosine distance between a gradient and the gradient of each public image, `[m]`."""

    def distance(image: Tensor) -> Tensor:
        return cosine(setup.gradient(parameters, image[None], target[None]), gradient)

    return vmap(distance, chunk_size=min(setup.chunk(1), 64))(setup.public)
