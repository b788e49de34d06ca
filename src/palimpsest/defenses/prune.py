"""Gradient pruning."""

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor

from palimpsest.defenses.defense import Defense, check_shape, row_by_row
from palimpsest.registry import DEFENSES


@DEFENSES.register("prune")
class GradientPruning(Defense):
    """Set the given share of each proof's coordinates to zero, the smallest in magnitude (IGF, Eq. 12).

    The share refers to the whole vector of each proof, and is rounded to a whole number of coordinates. Among equal
    magnitudes, the earlier coordinate is kept. A zero proof stays zero.
    """

    source: ClassVar[str] = "IGF, section B.3, Eq. 12; ratios 0.7, 0.8 and 0.9 in Table 2"

    ratio: Annotated[float, Field(ge=0, le=1)] = 0.9
    """Share of the coordinates to set to zero: 0 changes nothing, 1 leaves only zeros."""

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """Defend proofs deterministically; see `Defense`."""
        check_shape(proofs)
        dimension = proofs.shape[1]
        kept = dimension - round(self.ratio * dimension)
        magnitudes = proofs.new_empty(dimension)
        scratch = torch.empty(dimension, dtype=proofs.dtype)

        def prune(proof: Tensor, out: Tensor) -> None:
            mark_largest(torch.abs(proof, out=magnitudes), kept, out=out, scratch=scratch)
            # Adding zero turns the -0.0 of a pruned negative coordinate into 0.0.
            out.mul_(proof).add_(0)

        return row_by_row(proofs, prune)


def mark_largest(magnitudes: Tensor, count: int, *, out: Tensor, scratch: Tensor) -> None:
    """Write the mask of the `count` largest values; among equal values, the earlier ones are marked.

    Args:
        magnitudes: Values, `[d]`.
        count: Number of values to mark, 0 to d.
        out: Buffer for the mask, `[d]`: 1 for the largest values, 0 for the others.
        scratch: Buffer for the selection, `[d]`, with the dtype of the values, on the CPU.
    """
    if count == 0:
        out.zero_()
        return
    # NumPy selects in place, ten times faster than `torch.topk` or `torch.kthvalue`.
    ranked = scratch.copy_(magnitudes).numpy()
    ranked.partition(len(ranked) - count)
    threshold = float(ranked[-count])
    torch.ge(magnitudes, threshold, out=out)
    surplus = int(torch.count_nonzero(out)) - count
    if surplus > 0:
        ties = (magnitudes == threshold).nonzero().squeeze(1)
        out[ties[-surplus:]] = 0
