"""IGF for rows of a table."""

from typing import ClassVar

import torch
from torch import Generator, Tensor

from palimpsest.attacks.learned.non_image import VectorInversion
from palimpsest.datasets import RowSet, SampleSet
from palimpsest.registry import ATTACKS


@ATTACKS.register("igf-rows")
class RowInversion(VectorInversion):
    """Learn, on the auditor's rows, to turn a projected gradient difference back into its row.

    The columns are standardized: each column counts alike, whatever its unit.
    """

    source: ClassVar[str] = "IGF, section 3.2, Eqs. 3 to 9, with rows in place of images"
    takes: ClassVar[type[SampleSet]] = RowSet

    def mix(self, inputs: Tensor, others: Tensor, generator: Generator) -> Tensor:
        """Move each row toward its partner by a random share; see `VectorInversion.mix`."""
        return torch.lerp(inputs, others, torch.rand(len(inputs), 1, generator=generator))

    def targets(self, samples: RowSet) -> Tensor:
        """Return the rows; see `VectorInversion.targets`."""
        return samples.rows

    def read(self, outputs: Tensor, samples: RowSet) -> Tensor:
        """Clamp each column to the range of the auxiliary rows; see `VectorInversion.read`."""
        return outputs.clamp(samples.rows.amin(0), samples.rows.amax(0))
