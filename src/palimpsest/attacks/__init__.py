"""What an auditor or a server recovers: one file for each attack."""

from palimpsest.attacks.igf import IGF
from palimpsest.attacks.view import AuditorView, Knowledge, Reconstruction

__all__ = ["IGF", "AuditorView", "Knowledge", "Reconstruction"]
