"""Nothing but the norm."""

from typing import ClassVar

from torch import Generator, Tensor

from palimpsest.defenses.defense import Defense, length, row_by_row
from palimpsest.registry import DEFENSES


@DEFENSES.register("norm-only")
class NormOnly(Defense):
    """Publish each proof's norm and nothing else: the least that the check `||Δg|| <= τ` needs.

    The result keeps its shape, `[n, d]`, so that whatever reads proofs reads it too: the norm stands in the
    first coordinate, all others are zero. A zero proof stays zero.
    """

    source: ClassVar[str] = "IGF, section 3.1: the auditor's check uses the norm alone"

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """See `Defense`; deterministic."""

        def keep_norm(proof: Tensor, out: Tensor) -> None:
            out.zero_()
            out[0] = length(proof)

        return row_by_row(proofs, keep_norm)
