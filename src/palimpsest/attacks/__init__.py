"""What an auditor or a server recovers: one file for each attack."""

from palimpsest.attacks.igf import IGF
from palimpsest.attacks.view import Attack, AuditorView, Knowledge, Reconstruction

__all__ = ["IGF", "Attack", "AuditorView", "Knowledge", "Reconstruction"]
