"""The artifacts that a user supplies: proofs, checkpoints, images, gradients and an oracle."""

from palimpsest.artifacts.attestation import attestation_checks
from palimpsest.artifacts.auditor import AuditorArtifacts, load_auditor_artifacts
from palimpsest.artifacts.config import ArtifactsConfig, OracleConfig, read_artifacts_config
from palimpsest.artifacts.images import load_samples
from palimpsest.artifacts.models import Models, load_models
from palimpsest.artifacts.server import ServerArtifacts, load_server_artifacts

__all__ = [
    "ArtifactsConfig",
    "AuditorArtifacts",
    "Models",
    "OracleConfig",
    "ServerArtifacts",
    "attestation_checks",
    "load_auditor_artifacts",
    "load_models",
    "load_samples",
    "load_server_artifacts",
    "read_artifacts_config",
]
