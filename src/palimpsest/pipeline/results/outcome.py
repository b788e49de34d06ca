"""Results of the stages of an audit or an attack, in one value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from palimpsest.artifacts import ArtifactsConfig, AuditorArtifacts, ServerArtifacts
from palimpsest.config import AttackConfig, AuditConfig
from palimpsest.datasets import Copies, SampleSet
from palimpsest.federation import Federation, Training
from palimpsest.membership import Assessment
from palimpsest.metrics import Forgetting, MemberMetrics
from palimpsest.pipeline.stages.bounds import Bounds
from palimpsest.pipeline.stages.control_groups import ControlGroup
from palimpsest.pipeline.stages.group_scores import Aggregation
from palimpsest.pipeline.stages.scoring import Scored
from palimpsest.pipeline.stages.soundness import Soundness
from palimpsest.proofs import Verdicts
from palimpsest.unlearning import Unlearning


@dataclass(frozen=True)
class Federated:
    """Results of the training and unlearning stages of an audit.

    Args:
        federation: Data, model and settings.
        original: The trained model.
        unlearned: The unlearned model and the forgotten samples.
        forgetting: Measurements of how well the model forgot.
        membership: Results of the membership tests; None without shadow federations.
    """

    federation: Federation
    original: Training
    unlearned: Unlearning
    forgetting: Forgetting
    membership: Assessment | None = None


@dataclass(frozen=True)
class Outcome:
    """Input of `metrics.json`, the page and the summary.

    Args:
        config: The configuration of the audit, or of the attack on supplied artifacts.
        source: The audit's federation, or the supplied artifacts.
        scored: The attack's reconstructions and scores.
        auxiliary: The attacker's auxiliary samples.
        forgotten: The forgotten samples, in the order of the reconstructions; None if they are unknown.
        verdicts: The verifier's verdict on each proof; None if there are no proofs.
        attack: The reported attack; None means the configured one.
        bounds: Bounds on any attack on the proofs; None means that gradients were attacked.
        members: Results of a portfolio's attacks; empty if one attack was configured.
        aggregation: The groups of samples that share a proof, and their scores; None if each has a proof of its own.
        soundness: How well verifiers detect forged proofs; None if it was not measured.
        control_groups: Reconstructions of retained and never-trained samples; empty unless an audit's attack is
            trained.
        overlap: Forgotten samples that are also among the attacker's own; None if they are unknown. An audit has its
            overlap in `source`.
        forgetting: How well a user's unlearned model forgot; None if it was not measured. An audit has it in
            `source`.
    """

    config: AuditConfig | ArtifactsConfig
    source: Federated | AuditorArtifacts | ServerArtifacts
    scored: Scored
    auxiliary: SampleSet
    forgotten: SampleSet | None = None
    verdicts: Verdicts | None = None
    soundness: Soundness | None = None
    forgetting: Forgetting | None = None
    bounds: Bounds | None = None
    attack: AttackConfig | None = None
    members: tuple[MemberMetrics, ...] = ()
    control_groups: Mapping[str, ControlGroup] = field(default_factory=dict)
    overlap: Copies | None = None
    aggregation: Aggregation | None = None

    @property
    def reported_attack(self) -> AttackConfig:
        """The attack whose scores are reported."""
        return self.attack or self.config.attack
