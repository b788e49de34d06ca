"""What the stages of an audit or an attack made, whichever way it went."""

from dataclasses import dataclass

from palimpsest.artifacts import ArtifactsConfig, AuditorArtifacts, ServerArtifacts
from palimpsest.config import AuditConfig
from palimpsest.datasets import SampleSet
from palimpsest.federation import Federation, Training
from palimpsest.metrics import Forgetting
from palimpsest.pipeline.stages.scoring import Scored
from palimpsest.pipeline.stages.soundness import Soundness
from palimpsest.proofs import Verdicts
from palimpsest.unlearning import Unlearning


@dataclass(frozen=True)
class Federated:
    """The federation's part of an audit.

    Args:
        federation: Data, model and settings.
        original: The trained model.
        unlearned: The unlearned model, and what it forgot.
        forgetting: How well it forgot.
    """

    federation: Federation
    original: Training
    unlearned: Unlearning
    forgetting: Forgetting


@dataclass(frozen=True)
class Outcome:
    """Everything that `metrics.json`, the page and the summary are made from.

    Args:
        config: The configuration of the audit, or of the attack on artifacts.
        source: Where the models come from: the audit's federation, or what a user supplied.
        scored: The attack's reconstructions and scores.
        auxiliary: The attacker's own samples.
        forgotten: The forgotten samples, in the order of the reconstructions; None where they are unknown.
        verdicts: What the verifier says of each proof; None where there were no proofs.
        soundness: What acceptance is worth; None where it was not measured.
    """

    config: AuditConfig | ArtifactsConfig
    source: Federated | AuditorArtifacts | ServerArtifacts
    scored: Scored
    auxiliary: SampleSet
    forgotten: SampleSet | None = None
    verdicts: Verdicts | None = None
    soundness: Soundness | None = None
