from collections.abc import Iterator

import pytest

from palimpsest.doctor.finding import Finding, Level, error, guarded, ok, tried, warning
from palimpsest.errors import DatasetError


def absent() -> int:
    raise DatasetError("It is not there.")


def broken() -> int:
    raise ZeroDivisionError


def returned(made: Iterator[Finding]) -> object:
    """Return the value of a generator that yields nothing."""
    with pytest.raises(StopIteration) as stop:
        next(made)
    return stop.value.value


def test_each_level_has_a_function() -> None:
    made = [make("images", "A sentence.") for make in (ok, warning, error)]
    assert [one.level for one in made] == [Level.OK, Level.WARNING, Level.ERROR]
    assert {(one.subject, one.message) for one in made} == {("images", "A sentence.")}


def test_returns_a_value_or_yields_its_error() -> None:
    assert returned(tried("images", lambda: 3)) == 3
    failed = tried("images", absent)
    assert next(failed) == error("images", "It is not there.")
    assert returned(failed) is None


def test_keeps_findings_before_an_error() -> None:
    def findings() -> Iterator[Finding]:
        yield ok("images", "Fine.")
        absent()

    assert list(guarded("oracle", findings())) == [ok("images", "Fine."), error("oracle", "It is not there.")]


def test_does_not_catch_other_exceptions() -> None:
    with pytest.raises(ZeroDivisionError):
        next(tried("images", broken))
