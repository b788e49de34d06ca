"""Audit of a few seconds that runs once for all tests that read its folder."""

from pathlib import Path
from typing import Any

import pytest

from palimpsest.config import AuditConfig, build_config
from palimpsest.pipeline.audit import audit

TINY: dict[str, Any] = {
    "data": {"name": "digits", "auxiliary_size": 60},
    "model": {"name": "lenet"},
    "federation": {"clients": 4, "fraction": 0.5, "rounds": 2},
    "unlearning": {"count": 12},
    "attack": {"name": "igf", "beta": 0, "epochs": 2, "width": 16},
    "scoring": {"bootstrap": 50},
}


def tiny(**changes: dict[str, Any]) -> AuditConfig:
    """Make the configuration of the audit, with changed keys."""
    return build_config({key: {**TINY.get(key, {}), **value} for key, value in {**TINY, **changes}.items()})


@pytest.fixture(scope="session")
def finished_audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the audit, and return its run folder, which tests must not change."""
    return audit(tiny(), out=tmp_path_factory.mktemp("audit") / "run", command="palimpsest audit tiny").folder
