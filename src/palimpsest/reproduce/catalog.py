"""All studies."""

from palimpsest.reproduce.dragd import STUDIES as SERVER_STUDIES
from palimpsest.reproduce.igf import STUDIES as AUDITOR_STUDIES

STUDIES = AUDITOR_STUDIES | SERVER_STUDIES
"""Every study by the name of its command."""
