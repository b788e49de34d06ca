"""What an auditor or a server recovers: one file for each attack."""

from palimpsest.attacks.igf import IGF
from palimpsest.attacks.igf_plus import IGFPlus
from palimpsest.attacks.igf_white import IGFWhite
from palimpsest.attacks.lti import LearningToInvert
from palimpsest.attacks.view import ArchitectView, Attack, AuditorView, Knowledge, Reconstruction

__all__ = [
    "IGF",
    "ArchitectView",
    "Attack",
    "AuditorView",
    "IGFPlus",
    "IGFWhite",
    "Knowledge",
    "LearningToInvert",
    "Reconstruction",
]
