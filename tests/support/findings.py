"""What an examination finds, as tests read it."""

from pathlib import Path

from palimpsest.artifacts import CaseConfig
from palimpsest.doctor import Finding, Level, examine


def examined(config: CaseConfig, folder: Path) -> list[Finding]:
    """All findings."""
    return list(examine(config, folder=folder))


def sentences(findings: list[Finding], level: Level) -> str:
    """The findings of one level as text, a line for each."""
    return "\n".join(f"{one.piece}: {one.sentence}" for one in findings if one.level is level)
