"""Release of the norm alone."""

from typing import ClassVar

from torch import Generator, Tensor

from palimpsest.defenses.defense import Defense, length, row_by_row
from palimpsest.registry import DEFENSES


@DEFENSES.register("norm-only")
class NormOnly(Defense):
    """Release only each proof's norm, the minimum that the check `||Δg|| <= τ` needs.

    The first coordinate is the norm and all others are zero. The shape stays `[n, d]`, so that the result can be used
    like any other proofs. A zero proof stays zero.
    """

    source: ClassVar[str] = "IGF, section 3.1: the auditor's check uses the norm alone"

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """Defend proofs deterministically; see `Defense`."""

        def keep_norm(proof: Tensor, out: Tensor) -> None:
            out.zero_()
            out[0] = length(proof)

        return row_by_row(proofs, keep_norm)
