"""Gradient perturbation."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor

from palimpsest.defenses.defense import Defense, check_shape, fill_normal, row_by_row
from palimpsest.registry import DEFENSES


@DEFENSES.register("perturb")
class GradientPerturbation(Defense):
    """Add Gaussian noise in proportion to each coordinate's magnitude (IGF, Eq. 14).

    Zero coordinates stay zero. The paper gives one number, 0.01; only the settings' product matters.
    """

    source: ClassVar[str] = "IGF, section B.3, Eq. 14; 0.01 in Table 2"
    randomized: ClassVar[bool] = True

    scale: Annotated[float, Field(ge=0)] = 0.01
    """What the standard normal noise is multiplied by."""
    factor: Annotated[float, Field(ge=0)] = 1.0
    """What the coordinates' magnitudes are multiplied by."""

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """See `Defense`; draws d normal values for each proof."""
        check_shape(proofs)
        noise = proofs.new_empty(proofs.shape[1])

        def perturb(proof: Tensor, out: Tensor) -> None:
            torch.abs(proof, out=out).mul_(self.factor)
            out.mul_(fill_normal(noise, generator).mul_(self.scale)).add_(proof)

        return row_by_row(proofs, perturb)
