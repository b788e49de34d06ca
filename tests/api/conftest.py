from pathlib import Path

import pytest
from tests.support.audits import TINY

import palimpsest as pp


@pytest.fixture(scope="session")
def result(tmp_path_factory: pytest.TempPathFactory) -> pp.AuditResult:
    """A finished audit."""
    return pp.audit("digits", TINY, out=tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished sweep of two audits."""
    folder = tmp_path_factory.mktemp("sweep") / "swept"
    pp.sweep("digits", {"attack.epochs": [1, 2]}, TINY, out=folder)
    return folder
