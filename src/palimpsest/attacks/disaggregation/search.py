"""Search for the samples of a batch in the gradient of a linear layer with ReLU."""

from dataclasses import dataclass

from torch import Generator, Tensor

from palimpsest.attacks.disaggregation.candidates import Candidates, refine
from palimpsest.attacks.disaggregation.completion import missing_patterns
from palimpsest.attacks.disaggregation.kernels import KernelSampler
from palimpsest.attacks.disaggregation.low_rank import LowRank, factorize
from palimpsest.attacks.disaggregation.recovery import Recovered, independent, recover
from palimpsest.errors import ModelError
from palimpsest.progress import ProgressLine

_CHUNK = 512
# Numbers of a chunk's matrices that are held at once.
_VALUES = 2**25
# Activation patterns that are tested at once.
_PATTERNS = 64


@dataclass(frozen=True)
class KernelSearch:
    """Settings of the search.

    Args:
        submatrices: Largest number of submatrices to draw.
        sparsity: Smallest share of the units that a sample does not activate.
        generator: Draws the submatrices.
    """

    submatrices: int
    sparsity: float
    generator: Generator

    def run(
        self, gradient: Tensor, weights: Tensor, count: int, activity: Tensor | None, line: ProgressLine
    ) -> "Found":
        """Disaggregate the gradient of one batch (SPEAR, Algorithm 1).

        Args:
            gradient: Gradient of the weights, with that of the bias as the last column, `[m, n]` float64.
            weights: The weights, with the bias as the last column, `[m, n]` float64.
            count: Number of samples of the batch.
            activity: Share of public images that activate each unit, `[m]`; None draws submatrices uniformly.
            line: Progress line that is advanced for each chunk of submatrices, and to its end if all are found.

        Returns:
            What was found.

        Raises:
            ModelError: The layer is too small for this number of samples.
        """
        check_size(gradient, count)
        factors = factorize(gradient, count)
        candidates, best, drawn = Candidates.none(factors), None, 0
        if factors.rank == 0:
            return Found(factors, candidates, None, 0)
        sparsity = self.sparsity if factors.rank > 1 else 0.0
        sampler = KernelSampler(factors, activity, sparsity=sparsity, generator=self.generator)
        chunk = max(1, min(_CHUNK, _VALUES // (4 * factors.rank**2)))
        while drawn < self.submatrices:
            part = min(chunk, self.submatrices - drawn)
            zeros = sampler.draw(part, candidates.directions)
            drawn += part
            known = len(candidates)
            candidates = candidates.merge(refine(factors, zeros, weights, sparsity=sparsity), factors)
            if len(candidates) > known:
                candidates = _complete(factors, candidates, weights, sparsity)
            line.advance(part, values={"samples": float(len(candidates))})
            if len(candidates) == known or len(candidates) < factors.rank:
                continue
            best = recover(factors, candidates, weights) or best
            if best is not None and bool(best.consistent.all()):
                break
        line.advance(self.submatrices - drawn)
        return Found(factors, candidates, best, drawn)


@dataclass(frozen=True)
class Found:
    """Result of a search.

    Args:
        factors: Factors of the gradient.
        candidates: Candidates for the columns of the disaggregation matrix.
        recovered: The samples; None if there were too few candidates.
        drawn: Number of submatrices that were drawn.
    """

    factors: LowRank
    candidates: Candidates
    recovered: Recovered | None
    drawn: int


def check_size(gradient: Tensor, count: int) -> None:
    """Check that a layer is large enough to separate a batch.

    Args:
        gradient: Gradient of the weights, with that of the bias as the last column, `[m, n]`.
        count: Number of samples of the batch.

    Raises:
        ModelError: There are as many samples as units or inputs, or more.
    """
    if count >= min(gradient.shape):
        raise ModelError(
            f"The first layer has {gradient.shape[0]} units and {gradient.shape[1] - 1} inputs, too few to "
            f"separate {count} samples. Choose smaller batches or a larger --model.width."
        )


def _complete(factors: LowRank, candidates: Candidates, weights: Tensor, sparsity: float) -> Candidates:
    """Add the last columns if at most two are missing."""
    known = candidates.directions[independent(factors, candidates)]
    patterns = missing_patterns(factors, known, weights)
    for part in patterns.split(_PATTERNS):
        candidates = candidates.merge(refine(factors, part, weights, sparsity=sparsity), factors)
    return candidates
