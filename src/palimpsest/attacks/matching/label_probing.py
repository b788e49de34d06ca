"""Which classes were forgotten, from the confidences of two black boxes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

Confidence = Callable[[Tensor], Tensor]
"""Probabilities `[n, classes]` of images `[n, channels, height, width]`."""


@dataclass(frozen=True)
class Probing:
    """How probing images are made (GIAMU, section on label inference).

    Args:
        images: How many for each class.
        confidence: A probing image is done once the model is that sure of its class.
        iterations: Steps at most.
        directions: Coordinates along which each step measures the slope.
        reach: Distance of the two measurements of a slope.
        learning_rate: Step size; a fifth of it once the confidence is over 0.9.
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
    """Rank the classes by how much confidence in them was lost on images that the original model is sure of.

    The images are made from noise by zeroth-order ascent: nothing but confidences is asked of the models.

    Args:
        before: The original model.
        after: The unlearned model.
        shape: Of an image: channels, height, width.
        classes: How many there are.
        generator: Where noise and directions come from.
        plan: How probing images are made.

    Returns:
        `[classes]` int64, the class that lost most first; its images' confidence changed most.
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
        sure = model(images)[:, label]
        if bool((sure >= plan.confidence).all()):
            break
        slope = _slope(model, label, images, plan, generator)
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope.square()
        step = first / (1 - 0.9**iteration) / ((second / (1 - 0.999**iteration)).sqrt() + 1e-8)
        rate = plan.learning_rate * torch.where(sure > 0.9, 0.2, 1.0) * (sure < plan.confidence)
        images = (images + rate.view(-1, 1, 1, 1) * step).clamp(0, 1)
    return images


def _slope(model: Confidence, label: int, images: Tensor, plan: Probing, generator: Generator) -> Tensor:
    """Central differences of the log-confidence along random signs, averaged over the directions."""
    signs = torch.randint(0, 2, (plan.directions, *images.shape), generator=generator).to(images) * 2 - 1
    nearby = torch.stack([images + plan.reach * signs, images - plan.reach * signs]).flatten(0, 2)
    sure = model(nearby)[:, label].clamp(min=1e-12).log()
    up, down = sure.view(2, plan.directions, len(images), 1, 1, 1)
    return ((up - down) / (2 * plan.reach) * signs).mean(dim=0)
