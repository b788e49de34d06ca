"""A data set: discs, squares, crosses and rings of any size, place and gray."""

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
    """Drawn anew from a fixed seed each time: no file, no download, the same images everywhere."""

    def count(self, split: str) -> int:
        """See `Source.count`."""
        return COUNTS[split]

    def read(
        self, split: str, *, rows: Tensor | None = None, size: tuple[int, int] | None = None
    ) -> ImageSet:
        """See `Source.read`."""
        images, labels = draw(COUNTS[split], split)
        drawn = ImageSet("shapes", images, labels, CLASSES)
        drawn = drawn if rows is None else drawn.subset(rows)
        return drawn if size is None else replace(drawn, images=F.interpolate(drawn.images, size))


def draw(count: int, split: str) -> tuple[Tensor, Tensor]:
    """Images `[n, 1, 12, 12]` in [0, 1], and which shape each shows, `[n]`."""
    generator = make_generator(0, "shapes", split)
    center = 4 + (SIDE - 9) * torch.rand(2, count, 1, 1, generator=generator)
    radius = 2.5 + 1.5 * torch.rand(count, 1, 1, generator=generator)
    ink, paper = (
        0.6 + 0.4 * torch.rand(count, 1, 1, generator=generator),
        0.2 * torch.rand(count, 1, 1, generator=generator),
    )
    place = torch.arange(SIDE, dtype=torch.float32)
    down, right = (place[:, None] - center[0]).abs(), (place - center[1]).abs()
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
    shown = inside[labels, torch.arange(count)]
    return torch.where(shown, ink, paper)[:, None], labels
