"""Direct difference: subtract the retained samples' gradient and match the remainder."""

from typing import ClassVar

from palimpsest.attacks.matching.base import MatchingAttack
from palimpsest.attacks.matching.problem import Term
from palimpsest.attacks.matching.search import Search, SearchResult
from palimpsest.registry import ATTACKS


@ATTACKS.register("direct-difference")
class DirectDifference(MatchingAttack):
    """Match the weighted difference of the two gradients as if both were computed at the original parameters.

    The difference is exact if unlearning left the parameters unchanged and clients take one step. If the parameters
    change, its error is the change of the retained samples' gradient, times the ratio of retained to forgotten samples.
    """

    source: ClassVar[str] = "the identity of GIAMU for exact unlearning, with DRAGD's objective"

    def recover(self, search: Search) -> dict[str, SearchResult]:
        """Run one search; see `MatchingAttack.recover`."""
        setup = search.setup
        term = Term(setup.before, setup.difference, setup.forgotten, noise=setup.difference_noise)
        return {"forgotten": search.find("forgotten", [term])}
