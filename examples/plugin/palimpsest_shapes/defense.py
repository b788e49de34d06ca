"""Defense that quantizes proofs to a few levels with unbiased stochastic rounding."""

from pydantic import PositiveInt
from torch import Generator, Tensor

from palimpsest.defenses import Defense, row_by_row


class Quantization(Defense):
    """Round the ratio of each coordinate to the proof's norm to one of a few levels, up or down at random."""

    source = "QSGD (Alistarh et al., 2017), Eq. 3.2"
    randomized = True

    levels: PositiveInt = 4
    """Number of levels between zero and the proof's norm."""

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """Defend the proofs; see `Defense`. Random numbers are drawn one proof at a time, in order."""

        def write(proof: Tensor, out: Tensor) -> None:
            norm = proof.norm()
            if norm == 0:
                out.zero_()
                return
            position = self.levels * proof.abs() / norm
            # Rounding up with the probability of the fraction keeps the expectation equal to the proof.
            up = out.uniform_(generator=generator) < position.frac()
            out.copy_((position.floor() + up) * proof.sign() * norm / self.levels)

        return row_by_row(proofs, write)
