"""Data set of discs, squares, crosses and rings with random sizes, positions and gray values."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from palimpsest.datasets import ImageSet, Source
from palimpsest.randomness import make_generator

SIDE, CLASSES = 12, 4
COUNTS = {"train": 600, "test": 600}


@dataclass(frozen=True)
class Shapes(Source):
    """Shapes that are generated from a fixed seed on every read, without files or downloads."""

    def count(self, split: str) -> int:
        """Return the number of images in a split; see `Source.count`."""
        return COUNTS[split]

    def read(
        self, split: str, *, rows: Tensor | None = None, size: tuple[int, int] | None = None
    ) -> ImageSet:
        """Generate a split; see `Source.read`."""
        images, labels = draw(COUNTS[split], split)
        samples = ImageSet("shapes", images, labels, CLASSES)
        samples = samples if rows is None else samples.subset(rows)
        return samples if size is None else replace(samples, images=F.interpolate(samples.images, size))


def draw(count: int, split: str) -> tuple[Tensor, Tensor]:
    """Draw images `[n, 1, 12, 12]` in [0, 1], and return them with the shape that each shows, `[n]`."""
    generator = make_generator(0, "shapes", split)
    center = 4 + (SIDE - 9) * torch.rand(2, count, 1, 1, generator=generator)
    radius = 2.5 + 1.5 * torch.rand(count, 1, 1, generator=generator)
    ink, paper = (
        0.6 + 0.4 * torch.rand(count, 1, 1, generator=generator),
        0.2 * torch.rand(count, 1, 1, generator=generator),
    )
    position = torch.arange(SIDE, dtype=torch.float32)
    down, right = (position[:, None] - center[0]).abs(), (position - center[1]).abs()
    distance, farther = (down.square() + right.square()).sqrt(), torch.maximum(down, right)
    inside = torch.stack(
        [
            distance <= radius,
            farther <= radius,
            (torch.minimum(down, right) <= 0.8) & (farther <= radius),
            (distance <= radius) & (distance > radius - 1.4),
        ]
    )
    labels = torch.arange(count) % CLASSES
    mask = inside[labels, torch.arange(count)]
    return torch.where(mask, ink, paper)[:, None], labels
