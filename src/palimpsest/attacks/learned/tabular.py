"""IGF for tabular data."""

from typing import ClassVar

import torch
from torch import Generator, Tensor

from palimpsest.attacks.learned.non_image import VectorInversion
from palimpsest.datasets import RowSet, SampleSet
from palimpsest.registry import ATTACKS


@ATTACKS.register("igf-rows")
class RowInversion(VectorInversion):
    """Train a network on the auditor's rows to reconstruct a row from its projected gradient difference.

    Columns are standardized, so that all columns have the same weight regardless of their units.
    """

    source: ClassVar[str] = "IGF, section 3.2, Eqs. 3 to 9, applied to rows instead of images"
    takes: ClassVar[type[SampleSet]] = RowSet

    def mix(self, inputs: Tensor, others: Tensor, generator: Generator) -> Tensor:
        """Move each row toward its partner by a random share; see `VectorInversion.mix`."""
        return torch.lerp(inputs, others, torch.rand(len(inputs), 1, generator=generator))

    def targets(self, samples: RowSet) -> Tensor:
        """Return the rows; see `VectorInversion.targets`."""
        return samples.rows

    def decode(self, outputs: Tensor, samples: RowSet) -> Tensor:
        """Clamp each column to the range of the auxiliary rows; see `VectorInversion.decode`."""
        return outputs.clamp(samples.rows.amin(0), samples.rows.amax(0))
