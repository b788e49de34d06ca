"""Sign compression."""

from typing import ClassVar

import torch
from torch import Generator, Tensor

from palimpsest.defenses.defense import Defense, row_by_row
from palimpsest.registry import DEFENSES


@DEFENSES.register("sign")
class SignCompression(Defense):
    """Keep only each coordinate's sign: -1, 0 or 1 (IGF, Eq. 11).

    The norm of a defended proof is the square root of its number of nonzero coordinates. A zero proof stays zero.
    """

    source: ClassVar[str] = "IGF, section B.3, Eq. 11"

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """Defend proofs deterministically; see `Defense`."""
        return row_by_row(proofs, lambda proof, out: torch.sign(proof, out=out))
