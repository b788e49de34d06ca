"""The direct difference: subtract what remains, then match what is left."""

from typing import ClassVar

from palimpsest.attacks.matching.base import MatchingAttack
from palimpsest.attacks.matching.problem import Term
from palimpsest.attacks.matching.search import Found, Search
from palimpsest.registry import ATTACKS


@ATTACKS.register("direct-difference")
class DirectDifference(MatchingAttack):
    """Match the weighted difference of the two gradients, as if both had been taken at the original parameters.

    Exact where unlearning left the parameters as they were and clients take one step; otherwise off by what the
    parameters' change did to the remaining samples' gradient, times their number over that of the forgotten ones.
    """

    source: ClassVar[str] = "the identity that GIAMU's exact case uses, with DRAGD's objective"

    def recover(self, search: Search) -> dict[str, Found]:
        """One search; see `MatchingAttack.recover`."""
        scene = search.scene
        return {
            "forgotten": search.find("forgotten", [Term(scene.before, scene.difference, scene.forgotten)])
        }
