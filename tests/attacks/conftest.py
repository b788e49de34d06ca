from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from palimpsest.attacks import AuditorView
from palimpsest.datasets import ImageSet


class LinearOracle:
    """An oracle whose answers are a fixed linear map of the image: what it hides can be learned."""

    def __init__(self, dimension: int = 40, pixels: int = 64) -> None:
        self.matrix = torch.randn(pixels, dimension, generator=torch.Generator().manual_seed(1))
        self.queries = 0

    @property
    def dimension(self) -> int:
        return self.matrix.shape[1]

    def differences(self, images: Tensor, labels: Tensor) -> Iterator[Tensor]:
        self.queries += len(labels)
        for rows in images.flatten(1).split(7):
            yield rows @ self.matrix


def drawn_images(count: int, seed: int) -> Tensor:
    """Smooth random images, 1 x 8 x 8, of four numbers each."""
    corners = torch.rand(count, 1, 2, 2, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(corners, size=(8, 8), mode="bilinear", align_corners=True)


@pytest.fixture
def forgotten() -> Tensor:
    return drawn_images(20, seed=2)


@pytest.fixture
def view(forgotten: Tensor) -> AuditorView:
    oracle = LinearOracle()
    images = drawn_images(300, seed=3)
    auxiliary = ImageSet("auxiliary", images, torch.zeros(300, dtype=torch.int64), 1)
    proofs = torch.cat(list(oracle.differences(forgotten, torch.zeros(20))))
    oracle.queries = 0
    return AuditorView(proofs, oracle, auxiliary, "cpu", 2**30)
