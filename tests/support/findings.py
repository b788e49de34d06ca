"""Findings of the doctor as text."""

from pathlib import Path

from palimpsest.artifacts import ArtifactsConfig
from palimpsest.doctor import Finding, Level, examine


def examined(config: ArtifactsConfig, folder: Path) -> list[Finding]:
    """Return all findings for a configuration."""
    return list(examine(config, folder=folder))


def sentences(findings: list[Finding], level: Level) -> str:
    """Return the findings of one level as text, a line for each."""
    return "\n".join(
        f"{finding.subject}: {finding.message}" for finding in findings if finding.level is level
    )
