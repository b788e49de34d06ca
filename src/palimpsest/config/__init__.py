"""Configurations: schema, YAML files, presets, and why one is refused."""

from palimpsest.config.explain import explain_validation
from palimpsest.config.load import build_config, merged, preset_names, read_config, validate
from palimpsest.config.schema import (
    AttackConfig,
    AttackingConfig,
    AuditConfig,
    DataConfig,
    DefendingConfig,
    DefenseConfig,
    Defenses,
    EngineConfig,
    FederationConfig,
    ModelConfig,
    ObservationConfig,
    ObservingConfig,
    RunConfig,
    ScoringConfig,
    UnlearningConfig,
    VerificationConfig,
    listed_defenses,
)
from palimpsest.config.section import Section
from palimpsest.config.yaml_file import read_mapping

__all__ = [
    "AttackConfig",
    "AttackingConfig",
    "AuditConfig",
    "DataConfig",
    "DefendingConfig",
    "DefenseConfig",
    "Defenses",
    "EngineConfig",
    "FederationConfig",
    "ModelConfig",
    "ObservationConfig",
    "ObservingConfig",
    "RunConfig",
    "ScoringConfig",
    "Section",
    "UnlearningConfig",
    "VerificationConfig",
    "build_config",
    "explain_validation",
    "listed_defenses",
    "merged",
    "preset_names",
    "read_config",
    "read_mapping",
    "validate",
]
