"""Configurations: schema, YAML files, presets, and validation messages."""

from palimpsest.config.audit_sections import (
    AttackConfig,
    DataConfig,
    DefenseConfig,
    Defenses,
    EngineConfig,
    FederationConfig,
    MembershipConfig,
    ModelConfig,
    ObservationConfig,
    ScoringConfig,
    UnlearningConfig,
    listed_defenses,
)
from palimpsest.config.explain import explain_validation
from palimpsest.config.imports import load_imports
from palimpsest.config.load import (
    build_config,
    merged,
    nested,
    preset_names,
    read_config,
    read_preset,
    validate,
)
from palimpsest.config.proof_sections import Granularity, ProofsConfig, VerificationConfig
from palimpsest.config.renamed import new_name
from palimpsest.config.schema import AttackingConfig, AuditConfig, DefendingConfig, ObservingConfig, RunConfig
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
    "Granularity",
    "MembershipConfig",
    "ModelConfig",
    "ObservationConfig",
    "ObservingConfig",
    "ProofsConfig",
    "RunConfig",
    "ScoringConfig",
    "Section",
    "UnlearningConfig",
    "VerificationConfig",
    "build_config",
    "explain_validation",
    "listed_defenses",
    "load_imports",
    "merged",
    "nested",
    "new_name",
    "preset_names",
    "read_config",
    "read_mapping",
    "read_preset",
    "validate",
]
