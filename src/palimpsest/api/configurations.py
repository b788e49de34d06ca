"""The configuration class of each command."""

from collections.abc import Mapping

from palimpsest.artifacts.config import ArtifactsConfig, ProveConfig
from palimpsest.config import AuditConfig, RunConfig

CONFIGURATIONS: Mapping[str, type[RunConfig]] = {
    "audit": AuditConfig,
    "sweep": AuditConfig,
    "reproduce": AuditConfig,
    "attack": ArtifactsConfig,
    "doctor": ArtifactsConfig,
    "prove": ProveConfig,
}
"""The class that validates a command's keys, given in a file or as flags, by the command's name."""
