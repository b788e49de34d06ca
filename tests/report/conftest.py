import copy
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.pages import CONFIG, synthetic_report

from palimpsest.report import ReportInput


@pytest.fixture(scope="session")
def report() -> ReportInput:
    """The page of an audit of 120 digits, shared by all tests; do not modify it."""
    return synthetic_report()


@pytest.fixture(scope="session")
def make_report() -> Callable[..., ReportInput]:
    """A function that makes pages of other sizes, with fields replaced."""
    return synthetic_report


@pytest.fixture
def config() -> dict[str, Any]:
    """A configuration that the test may modify."""
    return copy.deepcopy(CONFIG)
