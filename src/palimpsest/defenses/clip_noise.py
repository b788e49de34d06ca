"""Clipping and Gaussian noise with a differential privacy guarantee."""

import math
from functools import cache, cached_property
from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Generator, Tensor

from palimpsest.defenses.defense import Defense, check_shape, fill_normal, length, row_by_row
from palimpsest.defenses.release import GaussianRelease, Release, clip_to
from palimpsest.registry import DEFENSES


@DEFENSES.register("clip-noise")
class ClipNoise(Defense):
    """Clip each proof's norm, then add the Gaussian noise that makes its release (epsilon, delta)-private.

    Any two samples are neighbors: up to epsilon and delta, a proof does not reveal which of them was forgotten. Two
    clipped proofs are at most 2 * clip apart, which is the sensitivity. The guarantee holds for real-valued noise:
    neither the generator nor float32 arithmetic is hardened against attacks. A zero proof becomes pure noise.
    """

    source: ClassVar[str] = "Balle and Wang 2018 (analytic Gaussian mechanism), calibrated by dp-accounting"
    randomized: ClassVar[bool] = True

    clip: PositiveFloat = 1.0
    """Largest norm before the noise is added; longer proofs are scaled down to it."""
    epsilon: PositiveFloat = 8.0
    """Privacy loss of all releases of one proof together."""
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    """Probability with which the privacy loss may exceed epsilon."""
    releases: PositiveInt = 1
    """Number of times that one proof will be released, each time with fresh noise."""

    @cached_property
    def sigma(self) -> float:
        """Standard deviation of the noise; k releases are as private as one with 1/sqrt(k) of the noise."""
        return 2 * self.clip * math.sqrt(self.releases) * noise_multiplier(self.epsilon, self.delta)

    def published_noise(self) -> tuple[float, float | None]:
        """Return the noise's standard deviation and the clip norm; see `Defense`."""
        return self.sigma, self.clip

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """Defend proofs; see `Defense`. Draws d normal values for each proof."""
        check_shape(proofs)
        noise = proofs.new_empty(proofs.shape[1])

        def release(proof: Tensor, out: Tensor) -> None:
            norm = length(proof)
            shrink = min(1.0, self.clip / norm) if norm > 0 else 1.0
            torch.mul(proof, shrink, out=out).add_(fill_normal(noise, generator), alpha=self.sigma)

        return row_by_row(proofs, release)

    def release(self) -> Release:
        """Return Gaussian noise around the clipped proof; see `Defense`."""
        return GaussianRelease(self.sigma, radius=self.clip, mean=clip_to(self.clip), releases=self.releases)


@cache
def noise_multiplier(epsilon: float, delta: float) -> float:
    """Return the smallest standard deviation for (epsilon, delta)-privacy at sensitivity 1.

    Args:
        epsilon: Privacy loss, positive.
        delta: Probability, in (0, 1).
    """
    from dp_accounting.pld.common import DifferentialPrivacyParameters
    from dp_accounting.pld.privacy_loss_mechanism import GaussianPrivacyLoss

    target = DifferentialPrivacyParameters(epsilon, delta)
    return GaussianPrivacyLoss.from_privacy_guarantee(target).standard_deviation
