"""Section of `metrics.json` with the membership tests on shadow federations."""

from palimpsest.metrics.rates import Rate
from palimpsest.metrics.schema_parts import Part


class DetectionMetrics(Part):
    """Members that a test finds at a controlled false positive rate."""

    rate: float
    """Largest share of nonmembers that may be taken for members, in (0, 1)."""
    needed: int
    """Smallest number of nonmembers at which this rate can be measured."""
    found: Rate | None = None
    """Share of members that are found, with its exact 95 % interval; absent if there are fewer nonmembers than
    `needed`."""


class MembershipTestMetrics(Part):
    """Result of one test on one model."""

    test: str
    """Name of the test, such as `lira`."""
    needs: str
    """The attacker's knowledge: one model, unlearned shadows, both models, or both models and the proofs (`proofs`)."""
    group: str
    """The members: `forgotten` or `retained` samples."""
    model: str
    """The tested model: `original` (before unlearning) or `unlearned`."""
    auc: Rate
    """Area under the ROC curve, with its interval over the samples; 0.5 is chance, and higher means more exposed."""
    detections: list[DetectionMetrics]
    """Members found at each false positive rate."""


class MembershipMetrics(Part):
    """Membership tests on shadow federations."""

    shadows: int
    """Number of shadow federations."""
    pairs: dict[str, int]
    """Number of members of each group, and of the nonmembers that they are compared with."""
    tests: list[MembershipTestMetrics]
    """Results by group, model and test."""
    exposed: list[int]
    """Numbers of the forgotten samples that U-LiRA finds most easily after unlearning, most exposed first: their
    positions in the order of the request, from 0."""

    def find(self, test: str, group: str, model: str) -> MembershipTestMetrics | None:
        """Return the result of a test, or None if it was not run."""
        wanted = (test, group, model)
        return next((one for one in self.tests if (one.test, one.group, one.model) == wanted), None)
