"""DRAGD and DRAGDP: two-stage reconstruction of retained, then forgotten samples (arXiv 2507.09602)."""

from typing import ClassVar

from torch import Tensor

from palimpsest.attacks.matching.base import MatchingAttack
from palimpsest.attacks.matching.coordinates import Space
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
    """Subtract the residual of stage 1 from the gradient that stage 2 matches; false gives the paper's stage 2."""
    prior_stage_one: bool = True
    """Whether stage 1 uses the prior too; false starts it from noise, as in the paper."""

    def recover(self, search: Search) -> dict[str, SearchResult]:
        """Run two searches; see `MatchingAttack.recover`."""
        setup = search.setup
        first = Term(setup.after, setup.gradients_after, setup.retained)
        retained = search.find("retained", [first], from_prior=self.prior_stage_one)
        observed = setup.gradients_before
        if self.residual:
            share = setup.retained / (setup.retained + setup.forgotten)
            observed = observed - share * _residual(setup, retained.batch)
        second = Term(setup.before, observed, setup.forgotten, retained.batch)
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


def _residual(setup: ProblemSetup, retained: Batch) -> Tensor:
    """Compute the part of the gradient after unlearning that the samples of stage 1 do not produce, `[b, d]`.

    Unlearning changes the parameters only slightly. The gradients of the true and of the reconstructed retained
    samples therefore differ by nearly the same vector before and after unlearning.
    """
    return setup.gradients_after - setup.gradients(setup.after, retained)
