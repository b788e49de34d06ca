"""Orthogonal obfuscation."""

from typing import ClassVar

import torch
from torch import Generator, Tensor

from palimpsest.defenses.defense import Defense, check_shape, fill_normal, length, row_by_row
from palimpsest.errors import ProofError
from palimpsest.registry import DEFENSES


@DEFENSES.register("orthogonal")
class OrthogonalObfuscation(Defense):
    """Replace each proof by a random vector orthogonal to it (IGF, Eq. 10).

    A zero proof stays zero: it has no direction to hide. What is left of any other proof is its norm, and the
    hyperplane in which the result lies: whoever guesses the proof can confirm it by either.
    """

    source: ClassVar[str] = "IGF, section 3.3, Eq. 10"
    randomized: ClassVar[bool] = True

    rescale: bool = True
    """Give each result the norm of its proof, as section 3.3 intends; false leaves Eq. 10 as printed, whose
    norm is about sqrt(d)."""

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """See `Defense`; draws d normal values for each proof.

        Raises:
            ProofError: As for `Defense`, or a proof has a single coordinate, to which nothing is orthogonal.
        """
        check_shape(proofs)
        if proofs.shape[1] == 1:
            raise ProofError(
                "A proof of a single coordinate has no orthogonal direction: use another defense."
            )
        noise, direction = proofs.new_empty(proofs.shape[1]), proofs.new_empty(proofs.shape[1])

        def obfuscate(proof: Tensor, out: Tensor) -> None:
            # A zero proof takes its share of the random numbers as well, so that it doesn't change the next.
            self.draw(noise, proof, generator)
            norm = length(proof)
            if norm == 0:
                out.zero_()
                return
            left = orthogonalize(noise, torch.div(proof, norm, out=direction))
            torch.mul(noise, norm / left if self.rescale else 1.0, out=out)

        return row_by_row(proofs, obfuscate)

    def draw(self, noise: Tensor, proof: Tensor, generator: Generator) -> None:
        """Fill `noise`, `[d]`, with the random vector of Eq. 10 for one proof, `[d]`."""
        fill_normal(noise, generator)


def orthogonalize(noise: Tensor, direction: Tensor) -> float:
    """Take a unit vector's component out of the noise, in place (Gram-Schmidt).

    Noise that lies close to the direction leaves mostly rounding errors: while half is lost, once more.

    Args:
        noise: A random vector, `[d]`.
        direction: What it shall be orthogonal to, `[d]`, of length 1.

    Returns:
        The length of what is left.
    """
    while True:
        along = float(noise @ direction)
        left = length(noise.sub_(direction, alpha=along))
        # By Pythagoras, at least half of the length before: measuring that as well would be one more pass.
        if 3 * left**2 >= along**2:
            return left
