"""Palimpsest measures how much of the data that a federation has unlearned can still be read."""

# ruff: noqa: E402  (telemetry is switched off before anything is imported that could have some)
from palimpsest.telemetry import switch_off

switch_off()

from palimpsest.audit import AuditResult, audit
from palimpsest.config import AuditConfig, build_config, preset_names, read_config
from palimpsest.datasets import ImageSet, load_images
from palimpsest.defenses import defend
from palimpsest.errors import PalimpsestError
from palimpsest.gradients import Projection, fit_projection, gradient_differences, per_sample_gradients
from palimpsest.proofs import Proofs, Verdicts, load_proofs, prove, save_proofs, verify
from palimpsest.registry import AGGREGATIONS, ATTACKS, DEFENSES, METHODS, MODELS, PARTITIONS, Component

__all__ = [
    "AGGREGATIONS",
    "ATTACKS",
    "DEFENSES",
    "METHODS",
    "MODELS",
    "PARTITIONS",
    "AuditConfig",
    "AuditResult",
    "Component",
    "ImageSet",
    "PalimpsestError",
    "Projection",
    "Proofs",
    "Verdicts",
    "audit",
    "build_config",
    "defend",
    "fit_projection",
    "gradient_differences",
    "load_images",
    "load_proofs",
    "per_sample_gradients",
    "preset_names",
    "prove",
    "read_config",
    "save_proofs",
    "verify",
]
