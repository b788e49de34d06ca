"""Checks of an attack's artifacts before the attack runs."""

from palimpsest.doctor.examine import examine
from palimpsest.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "examine"]
