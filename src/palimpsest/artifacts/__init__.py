"""What a user supplies: proofs, checkpoints, images, gradients and an oracle."""

from palimpsest.artifacts.auditor import Pieces, gather
from palimpsest.artifacts.config import CaseConfig, OracleConfig, read_case
from palimpsest.artifacts.images import load_brought
from palimpsest.artifacts.models import Models, load_models

__all__ = [
    "CaseConfig",
    "Models",
    "OracleConfig",
    "Pieces",
    "gather",
    "load_brought",
    "load_models",
    "read_case",
]
