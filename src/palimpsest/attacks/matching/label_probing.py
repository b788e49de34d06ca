"""Inference of the forgotten labels from the confidences of two black-box models (GIAMU)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

Confidence = Callable[[Tensor], Tensor]
"""Maps images `[n, channels, height, width]` to class probabilities `[n, classes]`."""


@dataclass(frozen=True)
class Probing:
    """Settings of the probing images (GIAMU, section on label inference).

    Args:
        images: Number of images for each class.
        confidence: An image is finished when the model assigns its class this probability, in (0, 1).
        iterations: Maximum number of steps.
        directions: Number of random directions of the finite differences of each step.
        reach: Step of the finite differences: the change of each pixel in either direction.
        learning_rate: Step size of the ascent; a fifth of it is used when the probability is above 0.9.
    """

    images: int = 10
    confidence: float = 0.9995
    iterations: int = 60
    directions: int = 32
    reach: float = 1e-3
    learning_rate: float = 0.1


def probe_labels(
    before: Confidence,
    after: Confidence,
    *,
    shape: tuple[int, int, int],
    classes: int,
    generator: Generator,
    settings: Probing | None = None,
) -> Tensor:
    """Rank the classes by the confidence they lost on images that the original model classifies with certainty.

    Zeroth-order gradient ascent makes these images from noise; it needs only the model's confidences.

    Args:
        before: The model before unlearning.
        after: The model after unlearning.
        shape: Channels, height, and width of an image.
        classes: Number of classes.
        generator: Draws the noise and the directions.
        settings: Settings of the probing images. If omitted, the defaults of `Probing` apply.

    Returns:
        `[classes]` int64, the class that lost the most confidence first.
    """
    settings = settings or Probing()
    lost_confidences = []
    for label in range(classes):
        images = _probing_images(before, label, shape, settings, generator)
        lost_confidences.append((before(images)[:, label] - after(images)[:, label]).mean())
    return torch.stack(lost_confidences).argsort(descending=True)


def _probing_images(
    model: Confidence, label: int, shape: tuple[int, int, int], settings: Probing, generator: Generator
) -> Tensor:
    """Create images that a model assigns to a class with certainty, `[images, channels, height, width]`."""
    images = torch.randn(settings.images, *shape, generator=generator).clamp(0, 1)
    first, second = torch.zeros_like(images), torch.zeros_like(images)
    for iteration in range(1, settings.iterations + 1):
        confidence = model(images)[:, label]
        if bool((confidence >= settings.confidence).all()):
            break
        direction = _ascent_direction(model, label, images, settings, generator)
        first = 0.9 * first + 0.1 * direction
        second = 0.999 * second + 0.001 * direction.square()
        step = first / (1 - 0.9**iteration) / ((second / (1 - 0.999**iteration)).sqrt() + 1e-8)
        rate = (
            settings.learning_rate
            * torch.where(confidence > 0.9, 0.2, 1.0)
            * (confidence < settings.confidence)
        )
        images = (images + rate.view(-1, 1, 1, 1) * step).clamp(0, 1)
    return images


def _ascent_direction(
    model: Confidence, label: int, images: Tensor, settings: Probing, generator: Generator
) -> Tensor:
    """Estimate the gradient of the log-confidence by central differences along random sign vectors."""
    signs = torch.randint(0, 2, (settings.directions, *images.shape), generator=generator).to(images) * 2 - 1
    perturbed = torch.stack([images + settings.reach * signs, images - settings.reach * signs]).flatten(0, 2)
    log_confidence = model(perturbed)[:, label].clamp(min=1e-12).log()
    raised, lowered = log_confidence.view(2, settings.directions, len(images), 1, 1, 1)
    return ((raised - lowered) / (2 * settings.reach) * signs).mean(dim=0)
