import copy
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.pages import CONFIG, synthetic_report

from palimpsest.report import ReportInput


@pytest.fixture(scope="session")
def report() -> ReportInput:
    """An audit of 120 digits; not to be changed."""
    return synthetic_report()


@pytest.fixture(scope="session")
def make_report() -> Callable[..., ReportInput]:
    """Makes audits of other sizes, with fields replaced."""
    return synthetic_report


@pytest.fixture
def config() -> dict[str, Any]:
    """A configuration that the test may change."""
    return copy.deepcopy(CONFIG)
