"""Clipping and Gaussian noise with a differential privacy guarantee."""

import math
from functools import cache, cached_property
from typing import Annotated, ClassVar

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Generator, Tensor

from palimpsest.defenses.defense import Defense, check_shape, fill_normal, length, row_by_row
from palimpsest.registry import DEFENSES


@DEFENSES.register("clip-noise")
class ClipNoise(Defense):
    """Clip each proof's norm, then add the Gaussian noise that makes its release (epsilon, delta)-private.

    Neighbors are any two samples: beyond epsilon and delta, nobody can tell from a proof which one was
    forgotten. Two clipped proofs lie at most 2 * clip apart, and that is the sensitivity. The guarantee is
    for real-valued noise: neither the generator nor float32 arithmetic is hardened against attacks on them. A
    zero proof becomes pure noise.
    """

    source: ClassVar[str] = "Balle and Wang 2018 (analytic Gaussian mechanism), calibrated by dp-accounting"
    randomized: ClassVar[bool] = True

    clip: PositiveFloat = 1.0
    """The largest norm before noise; longer proofs are scaled down to it."""
    epsilon: PositiveFloat = 8.0
    """The privacy loss, over all releases of one proof together."""
    delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    """The probability with which the loss may be larger."""
    releases: PositiveInt = 1
    """How often one proof will be issued, each time with fresh noise."""

    @cached_property
    def sigma(self) -> float:
        """The noise's standard deviation; k Gaussian releases are worth one with sqrt(k) less noise."""
        return 2 * self.clip * math.sqrt(self.releases) * noise_multiplier(self.epsilon, self.delta)

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """See `Defense`; draws d normal values for each proof."""
        check_shape(proofs)
        noise = proofs.new_empty(proofs.shape[1])

        def release(proof: Tensor, out: Tensor) -> None:
            norm = length(proof)
            shrink = min(1.0, self.clip / norm) if norm > 0 else 1.0
            torch.mul(proof, shrink, out=out).add_(fill_normal(noise, generator), alpha=self.sigma)

        return row_by_row(proofs, release)


@cache
def noise_multiplier(epsilon: float, delta: float) -> float:
    """The least standard deviation for (epsilon, delta)-privacy at sensitivity 1."""
    from dp_accounting.pld.common import DifferentialPrivacyParameters
    from dp_accounting.pld.privacy_loss_mechanism import GaussianPrivacyLoss

    target = DifferentialPrivacyParameters(epsilon, delta)
    return GaussianPrivacyLoss.from_privacy_guarantee(target).standard_deviation
