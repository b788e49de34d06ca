"""Whether the artifacts of an attack fit together, examined before the attack runs."""

from palimpsest.doctor.examine import examine
from palimpsest.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "examine"]
