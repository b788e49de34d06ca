import pytest

from palimpsest.memory import format_bytes, parse_bytes


@pytest.mark.parametrize(
    ("text", "count"), [("4GiB", 2**32), ("500 MB", 5 * 10**8), (2**30, 2**30), ("1.5GiB", 3 * 2**29)]
)
def test_amounts_of_memory(text: object, count: int) -> None:
    assert parse_bytes(text) == count
    assert parse_bytes(format_bytes(count)) == count
