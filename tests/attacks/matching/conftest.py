import pytest

from palimpsest.progress import Work


@pytest.fixture
def line() -> Work:
    return Work("search", 1)
