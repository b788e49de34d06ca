import pytest

from palimpsest.progress import ProgressLine


@pytest.fixture
def line() -> ProgressLine:
    return ProgressLine("search", 1)
