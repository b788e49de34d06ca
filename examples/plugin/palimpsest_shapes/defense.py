"""A defense: few levels in place of float32, rounded at random so that the mean stays right."""

from pydantic import PositiveInt
from torch import Generator, Tensor

from palimpsest.defenses import Defense, row_by_row


class Quantization(Defense):
    """Round each coordinate's share of the proof's norm up or down to one of so many levels."""

    source = "QSGD (Alistarh et al., 2017), Eq. 3.2"
    randomized = True

    levels: PositiveInt = 4
    """Levels between zero and the proof's norm."""

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """See `Defense`: one proof at a time, random numbers in their order."""

        def write(proof: Tensor, out: Tensor) -> None:
            norm = proof.norm()
            if norm == 0:
                out.zero_()
                return
            position = self.levels * proof.abs() / norm
            # Rounded up with the probability of the fraction: the expectation is the proof.
            up = out.uniform_(generator=generator) < position.frac()
            out.copy_((position.floor() + up) * proof.sign() * norm / self.levels)

        return row_by_row(proofs, write)
