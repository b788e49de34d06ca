"""Orthogonal obfuscation."""

from typing import ClassVar

import torch
from torch import Generator, Tensor

from palimpsest.defenses.defense import Defense, check_shape, fill_normal, length, row_by_row
from palimpsest.defenses.release import Release, UnboundedRelease
from palimpsest.errors import ProofError
from palimpsest.registry import DEFENSES


@DEFENSES.register("orthogonal")
class OrthogonalObfuscation(Defense):
    """Replace each proof by a random vector orthogonal to it (IGF, Eq. 10).

    A zero proof stays zero, because it has no direction to hide. The result has the norm of the proof
    and is orthogonal to it, and either property is enough to check a guess of the proof.
    """

    source: ClassVar[str] = "IGF, section 3.3, Eq. 10"
    randomized: ClassVar[bool] = True

    rescale: bool = True
    """Scale each result to the norm of its proof, as section 3.3 intends. With false, Eq. 10 as printed, where the norm
    is about sqrt(d)."""

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """Defend proofs; see `Defense`. Draws d normal values for each proof.

        Raises:
            ProofError: See `Defense`. Also, a proof has a single coordinate, so that nothing is orthogonal to it.
        """
        check_shape(proofs)
        if proofs.shape[1] == 1:
            raise ProofError(
                "A proof with a single coordinate has no orthogonal direction. Use another defense."
            )
        noise, direction = proofs.new_empty(proofs.shape[1]), proofs.new_empty(proofs.shape[1])

        def obfuscate(proof: Tensor, out: Tensor) -> None:
            # A zero proof also consumes random numbers, so that it does not change the noise of the next proof.
            self.draw(noise, proof, generator)
            norm = length(proof)
            if norm == 0:
                out.zero_()
                return
            left = orthogonalize(noise, torch.div(proof, norm, out=direction))
            torch.mul(noise, norm / left if self.rescale else 1.0, out=out)

        return row_by_row(proofs, obfuscate)

    def draw(self, noise: Tensor, proof: Tensor, generator: Generator) -> None:
        """Fill a buffer with the random vector of Eq. 10 for one proof.

        Args:
            noise: Buffer to fill, `[d]`.
            proof: The proof, `[d]`.
            generator: Source of random numbers.
        """
        fill_normal(noise, generator)

    def release(self) -> Release:
        """Return a release without a bound, because a guess can be checked exactly; see `Defense`."""
        norm = ", and on spheres of different radii" if self.rescale else ""
        return UnboundedRelease(
            f"the defended proofs of two samples lie in different hyperplanes{norm}, so that a guess of the sample can "
            "be checked exactly"
        )


def orthogonalize(noise: Tensor, direction: Tensor) -> float:
    """Remove the component along a unit vector from the noise, in place (Gram-Schmidt).

    Noise nearly parallel to the direction leaves mostly rounding errors, so the step is repeated until it keeps at
    least half of the length.

    Args:
        noise: Random vector, `[d]`.
        direction: Unit vector, `[d]`, to which the result is orthogonal.

    Returns:
        Norm of the remaining noise.
    """
    while True:
        along = float(noise @ direction)
        left = length(noise.sub_(direction, alpha=along))
        # By Pythagoras, at least half of the length is then left. Measuring the length before costs another pass.
        if 3 * left**2 >= along**2:
            return left
