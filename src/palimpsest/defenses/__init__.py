"""Defenses that a client applies to its proofs before they leave, one in each file."""

from palimpsest.defenses.apply import apply_defenses, defend, defend_chunks, describe, published_noise
from palimpsest.defenses.clip_noise import ClipNoise
from palimpsest.defenses.defense import Defense, fill_normal, row_by_row
from palimpsest.defenses.gaussian import GaussianNoise
from palimpsest.defenses.norm_only import NormOnly
from palimpsest.defenses.orthogonal import OrthogonalObfuscation
from palimpsest.defenses.orthogonal_sample_seeded import SampleSeededObfuscation
from palimpsest.defenses.perturb import GradientPerturbation
from palimpsest.defenses.pipeline import Pipeline, pipeline_of
from palimpsest.defenses.project import RandomProjection
from palimpsest.defenses.prune import GradientPruning
from palimpsest.defenses.release import (
    NO_BOUND,
    FixedFunction,
    GaussianRelease,
    PrivateRelease,
    Release,
    UnboundedRelease,
)
from palimpsest.defenses.sign import SignCompression
from palimpsest.defenses.smooth import GradientSmoothing

__all__ = [
    "NO_BOUND",
    "ClipNoise",
    "Defense",
    "FixedFunction",
    "GaussianNoise",
    "GaussianRelease",
    "GradientPerturbation",
    "GradientPruning",
    "GradientSmoothing",
    "NormOnly",
    "OrthogonalObfuscation",
    "Pipeline",
    "PrivateRelease",
    "RandomProjection",
    "Release",
    "SampleSeededObfuscation",
    "SignCompression",
    "UnboundedRelease",
    "apply_defenses",
    "defend",
    "defend_chunks",
    "describe",
    "fill_normal",
    "pipeline_of",
    "published_noise",
    "row_by_row",
]
