"""Gaussian noise on observed gradients: how well candidates explain a noisy gradient, and how an attack uses that."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from palimpsest.attacks.matching.distances import ObjectiveName

NoiseMode = Literal["ignored", "map", "discrepancy"]
_SMALLEST_NORM = 1e-30


@dataclass(frozen=True)
class GradientNoise:
    """Release of an observed gradient: clipping, then independent Gaussian noise on every coordinate.

    Args:
        sigma: Standard deviation of the noise, positive.
        clip: Largest norm before the noise. None means that the gradient was not clipped.
        unknown_scale: Whether the gradient before the noise is a multiple in [0, 1] of the candidates' gradient, as for
            a difference of gradients that were clipped apart.
    """

    sigma: float
    clip: float | None = None
    unknown_scale: bool = False

    def misfit(self, predicted: Tensor, observed: Tensor, objective: ObjectiveName) -> Tensor:
        """Compute the squared residual in units of the noise's variance, twice the negative log-likelihood.

        At the true samples its expected value is d, the number of coordinates.

        Args:
            predicted: Gradients of the candidates before clipping, `[..., d]`.
            observed: Received gradients, `[..., d]`.
            objective: For "euclidean" the prediction is clipped like the gradient. For "cosine" the length of the
                gradient is unknown, and the most likely one is used.

        Returns:
            `[...]`, at least 0.
        """
        if objective == "cosine" or self.unknown_scale:
            predicted = predicted * _likeliest_scale(predicted, observed, bounded=objective != "cosine")
        elif self.clip is not None:
            predicted = clipped(predicted, self.clip)
        return (predicted - observed).square().sum(-1) / self.sigma**2

    def weight(self, observed: Tensor) -> Tensor:
        """Return the negative log-likelihood of a prediction of zero, `[...]`.

        It is the factor between the negative log-likelihood and a distance relative to the observed gradient's norm.

        Args:
            observed: Received gradients, `[..., d]`.
        """
        return observed.square().sum(-1) / (2 * self.sigma**2)


def clipped(gradients: Tensor, norm: float) -> Tensor:
    """Scale gradients, `[..., d]`, down to at most this norm."""
    lengths = gradients.norm(dim=-1, keepdim=True).clamp(min=_SMALLEST_NORM)
    return gradients * (norm / lengths).clamp(max=1)


def shrinkage(residual: Tensor, sigma: float) -> Tensor:
    """Compute the share of a residual that is signal rather than noise (James and Stein 1961, positive part).

    Args:
        residual: Difference of received and predicted gradients, `[b, d]`.
        sigma: Standard deviation of the noise in each coordinate.

    Returns:
        `[b, 1]`, in [0, 1]: 0 if the residual is as long as the noise alone, near 1 if it is much longer.
    """
    dimension = residual.shape[-1]
    squares = residual.square().sum(-1, keepdim=True)
    return (1 - (dimension - 2) * sigma**2 / squares).clamp(min=0)


def _likeliest_scale(predicted: Tensor, observed: Tensor, *, bounded: bool) -> Tensor:
    """Return the nonnegative factor, at most 1 if bounded, that brings a prediction closest to the observation."""
    squares = predicted.square().sum(-1, keepdim=True).clamp(min=_SMALLEST_NORM)
    scale = (predicted * observed).sum(-1, keepdim=True) / squares
    return scale.clamp(min=0, max=1 if bounded else torch.inf)
