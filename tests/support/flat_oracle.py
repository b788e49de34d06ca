"""Oracle without models, for stages that only need answers."""

from collections.abc import Iterator

import torch
from torch import Tensor

from palimpsest.datasets import ImageSet


class FlatOracle:
    """Oracle whose answers span six of three hundred directions, with norms like those of differences."""

    dimension = 300

    def __init__(self) -> None:
        self.matrix = torch.randn(6, 300, generator=torch.Generator().manual_seed(1))

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        yield (images.flatten(1) - 0.5) @ self.matrix


def small_images(count: int, seed: int) -> ImageSet:
    """Make images of six pixels of a single class."""
    drawn = torch.rand(count, 1, 2, 3, generator=torch.Generator().manual_seed(seed))
    return ImageSet("drawn", drawn, torch.zeros(count, dtype=torch.int64), 1)
