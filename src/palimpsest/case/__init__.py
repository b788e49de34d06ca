"""What somebody brings of their own: proofs, models, images, an oracle; attacked, made, or examined beforehand."""

from palimpsest.case.attack import attack
from palimpsest.case.config import CaseConfig, OracleConfig, read_case
from palimpsest.case.images import load_brought
from palimpsest.case.models import Models, load_models
from palimpsest.case.pieces import Pieces, gather

__all__ = [
    "CaseConfig",
    "Models",
    "OracleConfig",
    "Pieces",
    "attack",
    "gather",
    "load_brought",
    "load_models",
    "read_case",
]
