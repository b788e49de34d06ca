"""Gradient perturbation."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor

from palimpsest.defenses.defense import Defense, check_shape, fill_normal, row_by_row
from palimpsest.defenses.release import FixedFunction, Release, UnboundedRelease
from palimpsest.registry import DEFENSES


@DEFENSES.register("perturb")
class GradientPerturbation(Defense):
    """Add Gaussian noise in proportion to each coordinate's magnitude (IGF, Eq. 14).

    Zero coordinates stay zero. The paper gives one number, 0.01: only the product of the two settings matters.
    """

    source: ClassVar[str] = "IGF, section B.3, Eq. 14; 0.01 in Table 2"
    randomized: ClassVar[bool] = True

    scale: Annotated[float, Field(ge=0)] = 0.01
    """Factor of the standard normal noise."""
    factor: Annotated[float, Field(ge=0)] = 1.0
    """Factor of the coordinates' magnitudes."""

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """Defend proofs; see `Defense`. Draws d normal values for each proof."""
        check_shape(proofs)
        noise = proofs.new_empty(proofs.shape[1])

        def perturb(proof: Tensor, out: Tensor) -> None:
            torch.abs(proof, out=out).mul_(self.factor)
            out.mul_(fill_normal(noise, generator).mul_(self.scale)).add_(proof)

        return row_by_row(proofs, perturb)

    def release(self) -> Release:
        """Return a release without a bound, because the noise depends on the proof; see `Defense`."""
        if self.scale * self.factor == 0:
            return FixedFunction()
        return UnboundedRelease(
            "the noise is in proportion to the proof's coordinates, so that its zeros and nearly all signs survive"
        )
