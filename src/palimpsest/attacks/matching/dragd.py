"""DRAGD and DRAGDP: two-stage reconstruction of retained, then forgotten samples (arXiv 2507.09602)."""

import math
from dataclasses import replace
from typing import ClassVar

from torch import Tensor

from palimpsest.attacks.matching.base import MatchingAttack
from palimpsest.attacks.matching.coordinates import Space
from palimpsest.attacks.matching.noise import GradientNoise, clipped, shrinkage
from palimpsest.attacks.matching.priors import PriorName
from palimpsest.attacks.matching.problem import Batch, Term
from palimpsest.attacks.matching.search import Search, SearchResult
from palimpsest.attacks.matching.setup import ProblemSetup
from palimpsest.registry import ATTACKS


@ATTACKS.register("dragd")
class DRAGD(MatchingAttack):
    """Match the gradient after unlearning with the retained samples, then the gradient before it with all samples.

    Stage 2 holds the retained samples of stage 1 fixed and searches only the forgotten ones.
    """

    source: ClassVar[str] = "DRAGD (arXiv 2507.09602), stages 1 and 2"

    residual: bool = True
    """Subtract the residual of stage 1 from the gradient that stage 2 matches, as far as it exceeds the known noise;
    false gives the paper's stage 2."""
    prior_stage_one: bool = True
    """Whether stage 1 uses the prior too; false starts it from noise, as in the paper."""

    def recover(self, search: Search) -> dict[str, SearchResult]:
        """Run two searches; see `MatchingAttack.recover`."""
        setup = search.setup
        first = Term(setup.after, setup.gradients_after, setup.retained, noise=setup.noise)
        retained = search.find("retained", [first], from_prior=self.prior_stage_one)
        observed, noise = setup.gradients_before, setup.noise
        if self.residual:
            correction, noise = _correction(setup, retained.batch)
            observed = observed - correction
        second = Term(setup.before, observed, setup.forgotten, retained.batch, noise)
        return {"retained": retained, "forgotten": search.find("forgotten", [second])}


@ATTACKS.register("dragdp")
class DRAGDP(DRAGD):
    """DRAGD that starts from public images and searches in coordinates in which these images are white noise."""

    source: ClassVar[str] = "DRAGDP (arXiv 2507.09602); the coordinates are this package's"

    space: Space = "spectrum"
    """Coordinates of the search: free pixels (clamped at the end), pixels in [0, 1], or scaled frequencies."""
    prior: PriorName | None = "mean"
    """Start of each search: the mean public image, the one with the nearest gradient, the class mean or a blurred one.
    None starts from noise."""


def _correction(setup: ProblemSetup, retained: Batch) -> tuple[Tensor, GradientNoise | None]:
    """Compute the part of the first gradient that the second reveals and the samples of stage 1 do not produce.

    Unlearning changes the parameters only slightly. The gradients of the true and of the reconstructed retained samples
    therefore differ by nearly the same vector before and after unlearning: the residual of stage 1.

    With noise the residual also contains the noise of the second gradient, which stage 1 has removed from the predicted
    gradient. The correction therefore keeps only the share of the residual that exceeds the noise. What remains unknown
    of the retained samples' gradient adds to the noise of the first one. For a posterior mean with d coordinates and k
    effective unknowns, the expected squares are sigma^2 (d - k) of the residual and sigma^2 k of that gradient's error,
    so the one is estimated from the other; if the correction keeps more noise than that, its share of the noise counts.

    Args:
        setup: The problem setup.
        retained: The samples that stage 1 found.

    Returns:
        The correction of the first gradient, `[b, d]`, and the noise of the corrected gradient.
    """
    share = setup.retained / (setup.retained + setup.forgotten)
    predicted = setup.gradients(setup.after, retained)
    noise = setup.noise
    if noise is None:
        return share * (setup.gradients_after - predicted), None
    if noise.clip is not None:
        predicted = clipped(predicted, noise.clip)
    residual = setup.gradients_after - predicted
    kept = shrinkage(residual, noise.sigma)
    fitted = 1 - float(residual.square().mean()) / noise.sigma**2
    uncertain = max(0.0, fitted, float(kept.mean()))
    return share * kept * residual, replace(
        noise, sigma=noise.sigma * math.hypot(1, share * math.sqrt(uncertain))
    )
