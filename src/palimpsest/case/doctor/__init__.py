"""Whether the pieces of a case fit, said before hours are spent."""

from palimpsest.case.doctor.examine import examine
from palimpsest.case.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "examine"]
