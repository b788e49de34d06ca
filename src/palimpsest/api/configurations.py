"""The configurations that commands take keys of, by the command's name."""

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
"""What the keys of each command, in a file and as flags, are validated as."""
