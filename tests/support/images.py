"""Random images, and a reference implementation of their squared distances."""

import torch
from torch import Tensor

from palimpsest.datasets import ImageSet


def random_images(*shape: int, seed: int = 0) -> Tensor:
    """Make random images, uniform in [0, 1]."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def noisy_images(images: Tensor, scale: float = 0.1) -> Tensor:
    """Add Gaussian noise of standard deviation `scale`; values may leave [0, 1]."""
    return images + scale * torch.randn(images.shape, generator=torch.Generator().manual_seed(9))


def random_image_set(count: int, seed: int = 0, shape: tuple[int, int, int] = (1, 8, 8)) -> ImageSet:
    """Make random images of a single class."""
    images = random_images(count, *shape, seed=seed)
    return ImageSet("noise", images, torch.zeros(count, dtype=torch.int64), 1)


def reference_distances(images: Tensor, candidates: Tensor) -> Tensor:
    """Compute the squared L2 distance from each image to each candidate, `[n, m]` float64 (correct, slow)."""
    return torch.stack(
        [(image.double() - candidates.double()).square().flatten(1).sum(1) for image in images]
    )
