"""What an examination finds, as tests read it."""

from pathlib import Path

from palimpsest.artifacts import ArtifactsConfig
from palimpsest.doctor import Finding, Level, examine


def examined(config: ArtifactsConfig, folder: Path) -> list[Finding]:
    """All findings."""
    return list(examine(config, folder=folder))


def sentences(findings: list[Finding], level: Level) -> str:
    """The findings of one level as text, a line for each."""
    return "\n".join(f"{one.subject}: {one.message}" for one in findings if one.level is level)
