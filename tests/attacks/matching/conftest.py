import pytest


class Silent:
    def advance(self, steps: int = 1, note: str = "") -> None:
        pass


@pytest.fixture
def line() -> Silent:
    return Silent()
