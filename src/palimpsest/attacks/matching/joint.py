"""Joint optimization of retained and forgotten samples: DRAGD in one stage."""

from typing import ClassVar

from palimpsest.attacks.matching.base import MatchingAttack
from palimpsest.attacks.matching.problem import Term
from palimpsest.attacks.matching.search import Search, SearchResult
from palimpsest.registry import ATTACKS


@ATTACKS.register("joint")
class Joint(MatchingAttack):
    """Match both gradients in one search for the retained and forgotten samples."""

    source: ClassVar[str] = "DRAGD (arXiv 2507.09602), the baseline without stages"

    def recover(self, search: Search) -> dict[str, SearchResult]:
        """Run one search for all samples; see `MatchingAttack.recover`."""
        setup = search.setup
        sample_count = setup.retained + setup.forgotten
        terms = [
            Term(setup.after, setup.gradients_after, setup.retained, noise=setup.noise),
            Term(setup.before, setup.gradients_before, sample_count, noise=setup.noise),
        ]
        batch = search.find("batch", terms)
        return {
            "retained": batch.rows(0, setup.retained),
            "forgotten": batch.rows(setup.retained, sample_count),
        }
