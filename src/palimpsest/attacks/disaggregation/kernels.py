"""Proposals for the columns of the disaggregation matrix: kernels of random submatrices of the left factor."""

import math
from typing import Literal

import torch
from torch import Generator, Tensor

from palimpsest.attacks.disaggregation.low_rank import LowRank

Search = Literal["guided", "uniform"]
# Units on which a proposal is tested before it is tested on all: some, and a multiple of the rank.
_FIRST_UNITS, _UNITS_PER_FACTOR = 32, 4
_MOST_TESTED, _MOST_SURVIVORS = 256, 64
DEVIATIONS = 8.0
"""An entry counts as zero within this many standard deviations of its noise."""
SAME = 0.9999
"""Directions of a greater absolute cosine count as one."""
CLEAR = 0.03
"""Largest noise of an entry, as a share of its column's root mean square. Columns of samples of one class differ by
some percent where both are active, and must not count as equal there."""


class KernelSampler:
    """Draws submatrices of as many rows as the left factor has columns, and proposes the kernels of all but one row.

    A column of the disaggregation matrix maps to the zeros of a sample, the units that it does not activate. If all
    rows of a submatrix but one are such units, the column spans their kernel (SPEAR, section 3.3). The inverse of the
    submatrix holds the kernels for each row that is left out.

    Args:
        factors: Factors of the gradient.
        activity: Share of public images that activate each unit, `[m]` in [0, 1]; None draws uniformly, as SPEAR does.
            Otherwise the rows come from the units of least activity, because a kernel needs inactive ones: from a
            random number of them, spread evenly on a logarithmic scale.
        sparsity: Smallest share of the units that a sample does not activate.
        generator: Draws the submatrices.
    """

    def __init__(
        self, factors: LowRank, activity: Tensor | None, *, sparsity: float, generator: Generator
    ) -> None:
        """Rank the units."""
        self._orthonormal, self._triangle = torch.linalg.qr(factors.left)
        alive = (factors.left.norm(dim=1) > DEVIATIONS * factors.rank**0.5).nonzero().flatten()
        self._guided = activity is not None
        self._units = alive if activity is None else alive[activity[alive].argsort(stable=True)]
        self._rank, self._sparsity, self._generator = factors.rank, sparsity, generator

    def draw(self, count: int, known: Tensor) -> Tensor:
        """Draw submatrices, and keep the kernels that have enough zeros and are new.

        Args:
            count: Number of submatrices.
            known: Known directions q, `[c, k]`.

        Returns:
            Whether the entries of `left @ q` are zero up to noise, for each kernel q, `[p, m]` bool. Those with the
            most zeros come first.
        """
        rows = self._rows(count)
        inverse, failed = torch.linalg.inv_ex(self._orthonormal[rows])
        inverse = inverse[(failed == 0) & inverse.isfinite().all(dim=(1, 2))]
        solved = torch.linalg.solve_triangular(self._triangle, inverse, upper=True)
        lengths = solved.norm(dim=1)
        permuted = torch.randperm(len(self._units), generator=self._generator)
        first = self._units[permuted[: _FIRST_UNITS + _UNITS_PER_FACTOR * self._rank]]
        zeros = self._zeros(inverse, lengths, first)
        # The first test is lenient, because it sees few units.
        shares = zeros.double().mean(dim=1)
        matrix, column = (shares >= 0.8 * self._sparsity).nonzero(as_tuple=True)
        new = self._new(inverse[matrix, :, column], known)
        matrix, column = matrix[new], column[new]
        sparsest = shares[matrix, column].argsort(descending=True, stable=True)[:_MOST_TESTED]
        matrix, column = matrix[sparsest], column[sparsest]
        used, position = matrix.unique(return_inverse=True)
        everywhere = torch.arange(len(self._orthonormal))
        patterns = self._zeros(inverse[used], lengths[used], everywhere)[position, :, column]
        distinct = patterns.unique(dim=0)
        counts = distinct.sum(dim=1)
        best = counts.argsort(descending=True, stable=True)[:_MOST_SURVIVORS]
        return distinct[best[counts[best] >= self._sparsity * len(self._orthonormal)]]

    def _new(self, kernels: Tensor, known: Tensor) -> Tensor:
        """Select kernels, in orthonormal coordinates `[p, k]`, that are no known directions, `[p]` bool."""
        if not len(known):
            return torch.ones(len(kernels), dtype=torch.bool)
        columns = known @ self._triangle.T
        cosines = (kernels @ columns.T) / (kernels.norm(dim=1)[:, None] * columns.norm(dim=1))
        return cosines.abs().amax(dim=1) < SAME

    def _rows(self, count: int) -> Tensor:
        """Draw the rows of submatrices, `[count, k]`, without repetition within one."""
        pool = self._units
        if self._guided:
            low, high = math.log(min(1.5 * self._rank + 1, len(pool))), math.log(len(pool))
            position = float(torch.rand((), generator=self._generator))
            pool = pool[: max(round(math.exp(low + (high - low) * position)), self._rank)]
        order = torch.rand(count, len(pool), generator=self._generator)
        return pool[order.topk(self._rank, dim=1).indices]

    def _zeros(self, inverse: Tensor, lengths: Tensor, units: Tensor) -> Tensor:
        """Test which entries are zero up to the noise of the entry and of the kernel, `[s, units, k]` bool.

        A kernel that noise alone determines has no zeros.
        """
        values = self._orthonormal[units] @ inverse
        squares = values.square()
        # Variances: of the entry's own noise and of the error of the kernel, against the size of the column.
        limit = (1 + squares.sum(dim=2, keepdim=True)) * (DEVIATIONS * lengths[:, None]).square()
        clear = limit.amax(dim=1) <= CLEAR**2 * squares.mean(dim=1)
        return (squares <= limit) & clear[:, None]
