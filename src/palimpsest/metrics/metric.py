"""Base class of metrics, and the built-in metrics that are computed on request."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from palimpsest.registry import METRICS

_TINY = 1e-12


class Metric(ABC):
    """Base class of metrics that give one number for each reconstruction and its original.

    A metric has no settings: register a variant with another parameter as a metric of another name.
    """

    label: ClassVar[str]
    """Heading of the metric's column in tables."""
    meaning: ClassVar[str]
    """Short description of what the metric measures."""
    better: ClassVar[Literal["low", "high"]]
    """Direction of a closer reconstruction: `low` or `high` values."""

    @abstractmethod
    def __call__(self, reconstructions: Tensor, originals: Tensor) -> Tensor:
        """Compare each reconstruction with its original.

        Args:
            reconstructions: `[n, c, h, w]` float32 in [0, 1].
            originals: The same shape and order.

        Returns:
            `[n]` finite numbers.
        """


@METRICS.register("mae")
class MeanAbsoluteError(Metric):
    """Mean absolute error of pixels, which weights a few large errors less than the MSE."""

    label = "MAE"
    meaning = "mean absolute error of pixels in [0, 1]"
    better = "low"

    def __call__(self, reconstructions: Tensor, originals: Tensor) -> Tensor:
        """Compute the mean absolute error of each pair; see `Metric`."""
        return (reconstructions.double() - originals.double()).abs().flatten(1).mean(1)


@METRICS.register("ncc")
class CrossCorrelation(Metric):
    """Pearson correlation of pixels, which ignores brightness and contrast, unlike the MSE."""

    label = "NCC"
    meaning = "normalized cross-correlation of pixels; 1 means identical up to brightness and contrast"
    better = "high"

    def __call__(self, reconstructions: Tensor, originals: Tensor) -> Tensor:
        """Compute the correlation of each pair; 0 if an image has a single color. See `Metric`."""
        left, right = (_centered(images) for images in (reconstructions, originals))
        lengths = torch.linalg.vector_norm(left, dim=1) * torch.linalg.vector_norm(right, dim=1)
        return (left * right).sum(1) / lengths.clamp_min(_TINY)


def _centered(images: Tensor) -> Tensor:
    flat = images.double().flatten(1)
    return flat - flat.mean(1, keepdim=True)
