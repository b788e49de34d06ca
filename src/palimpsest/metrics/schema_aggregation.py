"""Section of `metrics.json` about aggregated proofs."""

from palimpsest.metrics.group_linkage import GroupLinkageScores
from palimpsest.metrics.schema_parts import Part, PartMetrics


class AggregationMetrics(Part):
    """Aggregated proofs: each is the mean of the gradient differences of a group of forgotten samples."""

    granularity: str
    """Samples behind a proof: `client` (some or all of a client's) or `federation` (those of all clients)."""
    proofs: int
    """Number of proofs."""
    smallest: int
    """Number of samples behind the proof with the fewest."""
    largest: int
    """Number of samples behind the proof with the most."""
    linkage: GroupLinkageScores | None = None
    """Linkage attack on groups: is a candidate one of the samples behind a proof? Absent if no proof was attacked."""
    same_classes: bool | None = None
    """Whether the strangers of the linkage attack have the classes of the forgotten samples. If not, its area also
    measures how much a class tells. Absent if no proof was attacked."""
    group_mean: PartMetrics | None = None
    """Scores of each group's true mean image as the answer for all of its members. No attacker has this image: it is
    the best answer by mean squared error to a proof that reveals the mean and nothing else."""
