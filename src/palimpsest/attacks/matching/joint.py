"""Joint optimisation: DRAGD without its stages."""

from typing import ClassVar

from palimpsest.attacks.matching.base import MatchingAttack
from palimpsest.attacks.matching.problem import Term
from palimpsest.attacks.matching.search import Found, Search
from palimpsest.registry import ATTACKS


@ATTACKS.register("joint")
class Joint(MatchingAttack):
    """Explain both gradients at once, by remaining and forgotten samples together."""

    source: ClassVar[str] = "DRAGD (arXiv 2507.09602), the baseline without stages"

    def recover(self, search: Search) -> dict[str, Found]:
        """One search over all samples; see `MatchingAttack.recover`."""
        scene = search.scene
        batch = scene.remaining + scene.forgotten
        both = search.find(
            "batch",
            [Term(scene.after, scene.stayed, scene.remaining), Term(scene.before, scene.whole, batch)],
        )
        return {
            "remaining": both.rows(0, scene.remaining),
            "forgotten": both.rows(scene.remaining, batch),
        }
