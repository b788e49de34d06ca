"""Random projection."""

from typing import ClassVar

import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Generator, Tensor

from palimpsest.defenses.defense import Defense, check_shape, row_by_row
from palimpsest.errors import ConfigurationError
from palimpsest.randomness import make_generator
from palimpsest.registry import DEFENSES


@DEFENSES.register("project")
class RandomProjection(Defense):
    """Project each proof to fewer coordinates with one random matrix that all clients and the auditor share.

    Every coordinate is added, with a random sign, to one random coordinate of the result (a count sketch). Squared
    norms are preserved in expectation, with a relative standard deviation of at most sqrt(2 / dimensions), so that the
    norm check remains meaningful. The matrix is public, so it hides only what it drops. A zero proof stays zero.
    """

    source: ClassVar[str] = "Charikar, Chen and Farach-Colton 2002; Weinberger et al. 2009"

    dimensions: PositiveInt = 1024
    """Number of coordinates of a defended proof, at most d."""
    seed: NonNegativeInt = 0
    """Seed of the matrix, on which the clients and the auditor agree."""

    def __call__(self, proofs: Tensor, *, generator: Generator) -> Tensor:
        """Defend proofs; see `Defense`. The generator is not used, because the matrix follows from the seed.

        Returns:
            Projected proofs in a new tensor, `[n, dimensions]`.

        Raises:
            ConfigurationError: `dimensions` is larger than the number of coordinates of a proof.
            ProofError: See `Defense`.
        """
        check_shape(proofs)
        dimension = proofs.shape[1]
        if self.dimensions > dimension:
            raise ConfigurationError(
                f"project has {self.dimensions} dimensions, but a proof has only {dimension} coordinates. "
                f"Choose dimensions from 1 to {dimension}."
            )
        buckets, signs = self.matrix(dimension)
        buckets, signs = buckets.to(proofs.device), signs.to(proofs)

        def project(proof: Tensor, out: Tensor) -> None:
            out.zero_().index_add_(0, buckets, proof * signs)

        return row_by_row(proofs, project, width=self.dimensions)

    def matrix(self, dimension: int) -> tuple[Tensor, Tensor]:
        """Return the shared matrix, which has one entry in each column.

        Args:
            dimension: Number of coordinates of a proof, d.

        Returns:
            The row of each column's entry, `[d]` int64, and its sign, `[d]` int64, -1 or 1.
        """
        generator = make_generator(self.seed, "projection", self.dimensions, dimension)
        buckets = torch.randint(self.dimensions, (dimension,), generator=generator)
        return buckets, torch.randint(2, (dimension,), generator=generator) * 2 - 1
