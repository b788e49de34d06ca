"""Inference of the forgotten classes from the confidences of two black-box models (GIAMU)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

Confidence = Callable[[Tensor], Tensor]
"""From images `[n, channels, height, width]` to probabilities `[n, classes]`."""


@dataclass(frozen=True)
class Probing:
    """Settings of the probing images (GIAMU, section on label inference).

    Args:
        images: Number of images for each class.
        confidence: An image is finished when the model gives its class this probability, in (0, 1).
        iterations: Maximum number of steps.
        directions: Number of random directions along which each step measures the slope.
        reach: Distance from the image to each of the two measurements of a slope.
        learning_rate: Step size; a fifth of it for a probability above 0.9.
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
    plan: Probing | None = None,
) -> Tensor:
    """Rank the classes by the confidence that they lost on images of which the original model is sure.

    The images are made from noise by zeroth-order ascent, which needs only the confidences of the models.

    Args:
        before: The original model.
        after: The unlearned model.
        shape: Channels, height, and width of an image.
        classes: Number of classes.
        generator: Draws noise and directions.
        plan: Settings of the probing images; if omitted, the defaults of `Probing`.

    Returns:
        `[classes]` int64, the class that lost the most confidence first.
    """
    plan = plan or Probing()
    losses = []
    for label in range(classes):
        images = _probing_images(before, label, shape, plan, generator)
        losses.append((before(images)[:, label] - after(images)[:, label]).mean())
    return torch.stack(losses).argsort(descending=True)


def _probing_images(
    model: Confidence, label: int, shape: tuple[int, int, int], plan: Probing, generator: Generator
) -> Tensor:
    images = torch.randn(plan.images, *shape, generator=generator).clamp(0, 1)
    first, second = torch.zeros_like(images), torch.zeros_like(images)
    for iteration in range(1, plan.iterations + 1):
        confidence = model(images)[:, label]
        if bool((confidence >= plan.confidence).all()):
            break
        slope = _slope(model, label, images, plan, generator)
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope.square()
        step = first / (1 - 0.9**iteration) / ((second / (1 - 0.999**iteration)).sqrt() + 1e-8)
        rate = plan.learning_rate * torch.where(confidence > 0.9, 0.2, 1.0) * (confidence < plan.confidence)
        images = (images + rate.view(-1, 1, 1, 1) * step).clamp(0, 1)
    return images


def _slope(model: Confidence, label: int, images: Tensor, plan: Probing, generator: Generator) -> Tensor:
    """Central differences of the log-confidence along random signs, averaged over the directions."""
    signs = torch.randint(0, 2, (plan.directions, *images.shape), generator=generator).to(images) * 2 - 1
    nearby = torch.stack([images + plan.reach * signs, images - plan.reach * signs]).flatten(0, 2)
    log_confidence = model(nearby)[:, label].clamp(min=1e-12).log()
    up, down = log_confidence.view(2, plan.directions, len(images), 1, 1, 1)
    return ((up - down) / (2 * plan.reach) * signs).mean(dim=0)
