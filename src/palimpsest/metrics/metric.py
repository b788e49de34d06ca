"""What a metric is, and those that are measured on request."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor

from palimpsest.registry import METRICS

_TINY = 1e-12


class Metric(ABC):
    """A number for each reconstruction and its original.

    It takes no settings: with another parameter it is another metric, and has another name.
    """

    label: ClassVar[str]
    """How tables call it."""
    meaning: ClassVar[str]
    """What it measures, in a few words."""
    better: ClassVar[Literal["low", "high"]]
    """Which way is closer."""

    @abstractmethod
    def __call__(self, reconstructions: Tensor, originals: Tensor) -> Tensor:
        """Compare each reconstruction with its original.

        Args:
            reconstructions: `[n, c, h, w]` float32 in [0, 1].
            originals: The same shape and order.

        Returns:
            `[n]`, finite.
        """


@METRICS.register("mae")
class MeanAbsoluteError(Metric):
    """The mean absolute difference of pixels: a few wrong pixels weigh less than in the MSE."""

    label = "MAE"
    meaning = "mean absolute error of pixels in [0, 1]"
    better = "low"

    def __call__(self, reconstructions: Tensor, originals: Tensor) -> Tensor:
        """See `Metric`."""
        return (reconstructions.double() - originals.double()).abs().flatten(1).mean(1)


@METRICS.register("ncc")
class CrossCorrelation(Metric):
    """Pearson's correlation of the pixels: blind to brightness and contrast, which the MSE is not."""

    label = "NCC"
    meaning = "normalized cross-correlation of pixels, 1 is identical up to brightness and contrast"
    better = "high"

    def __call__(self, reconstructions: Tensor, originals: Tensor) -> Tensor:
        """See `Metric`; an image of one color correlates with nothing."""
        left, right = (_centered(images) for images in (reconstructions, originals))
        lengths = torch.linalg.vector_norm(left, dim=1) * torch.linalg.vector_norm(right, dim=1)
        return (left * right).sum(1) / lengths.clamp_min(_TINY)


def _centered(images: Tensor) -> Tensor:
    flat = images.double().flatten(1)
    return flat - flat.mean(1, keepdim=True)
