"""An audit's results: what its stages made, gathered."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from palimpsest.attacks import Reconstruction
from palimpsest.config import AuditConfig
from palimpsest.datasets import FederatedData
from palimpsest.federation import Training
from palimpsest.metrics import Belonging, ConfirmationScores, Scores
from palimpsest.pipeline.stages.server import Served
from palimpsest.pipeline.stages.soundness import Soundness
from palimpsest.proofs import Verdicts
from palimpsest.unlearning import Forgetting, Unlearning


@dataclass(frozen=True)
class Confirmed:
    """What an auditor who holds the forgotten images could confirm.

    Args:
        statistic: By which of a proof's properties.
        scores: How surely.
    """

    statistic: str
    scores: ConfirmationScores


@dataclass(frozen=True)
class Results:
    """Everything that the stages of one audit made."""

    config: AuditConfig
    data: FederatedData
    original: Training
    unlearned: Unlearning
    forgetting: Forgetting
    verdicts: Verdicts
    reconstruction: Reconstruction
    scores: Scores
    served: Served | None = None
    others: Mapping[str, Scores] = field(default_factory=dict)
    """Scores of the attackers beside the first, by name; see `auditor_side.Audited`."""
    confirmed: Confirmed | None = None
    soundness: Soundness | None = None
    belonging: Belonging | None = None
    """None where the pairs were chosen by their closeness."""
    control: Scores | None = None
    """The same attack's scores on what had not been defended; none without a defence."""
