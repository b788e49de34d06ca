"""Joint optimization: DRAGD in one stage."""

from typing import ClassVar

from palimpsest.attacks.matching.base import MatchingAttack
from palimpsest.attacks.matching.problem import Term
from palimpsest.attacks.matching.search import Search, SearchResult
from palimpsest.registry import ATTACKS


@ATTACKS.register("joint")
class Joint(MatchingAttack):
    """Explain both gradients at once, by retained and forgotten samples together."""

    source: ClassVar[str] = "DRAGD (arXiv 2507.09602), the baseline without stages"

    def recover(self, search: Search) -> dict[str, SearchResult]:
        """Run one search for all samples; see `MatchingAttack.recover`."""
        setup = search.setup
        batch = setup.retained + setup.forgotten
        terms = [
            Term(setup.after, setup.gradients_after, setup.retained),
            Term(setup.before, setup.gradients_before, batch),
        ]
        both = search.find("batch", terms)
        return {"retained": both.rows(0, setup.retained), "forgotten": both.rows(setup.retained, batch)}
