"""Gaussian noise."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor

from palimpsest.defenses.defense import Defense, check_shape, fill_normal, row_by_row
from palimpsest.defenses.release import FixedFunction, GaussianRelease, Release
from palimpsest.registry import DEFENSES


@DEFENSES.register("gaussian")
class GaussianNoise(Defense):
    """Add independent Gaussian noise with the same standard deviation to every coordinate (IGF, Eq. 13).

    A zero proof becomes pure noise. Without clipping, there is no (epsilon, delta) guarantee; see `clip-noise`.
    """

    source: ClassVar[str] = "IGF, section B.3, Eq. 13; 0.1 in Table 2"
    randomized: ClassVar[bool] = True

    sigma: Annotated[float, Field(ge=0)] = 0.1
    """Standard deviation of the noise; the norm of a defended proof is at least about sigma * sqrt(d)."""

    def published_noise(self) -> tuple[float, float | None] | None:
        """Return the noise's standard deviation; see `Defense`. None without noise."""
        return (self.sigma, None) if self.sigma else None

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """Defend proofs; see `Defense`. Draws d normal values for each proof."""
        check_shape(proofs)
        noise = proofs.new_empty(proofs.shape[1])

        def add_noise(proof: Tensor, out: Tensor) -> None:
            torch.add(fill_normal(noise, generator).mul_(self.sigma), proof, out=out)

        return row_by_row(proofs, add_noise)

    def release(self) -> Release:
        """Return Gaussian noise around the proof, whose norm is not limited; see `Defense`."""
        return GaussianRelease(self.sigma) if self.sigma > 0 else FixedFunction()
