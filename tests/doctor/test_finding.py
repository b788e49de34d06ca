from collections.abc import Iterator

import pytest

from palimpsest.doctor.finding import Finding, Level, error, guarded, ok, tried, warning
from palimpsest.errors import DatasetError


def absent() -> int:
    raise DatasetError("It is not there.")


def broken() -> int:
    raise ZeroDivisionError


def returned(made: Iterator[Finding]) -> object:
    """The value of a generator that yields nothing."""
    with pytest.raises(StopIteration) as stop:
        next(made)
    return stop.value.value


def test_each_level_has_its_maker() -> None:
    made = [make("images", "A sentence.") for make in (ok, warning, error)]
    assert [one.level for one in made] == [Level.OK, Level.WARNING, Level.ERROR]
    assert {(one.subject, one.message) for one in made} == {("images", "A sentence.")}


def test_a_value_is_returned_and_an_error_becomes_a_finding() -> None:
    assert returned(tried("images", lambda: 3)) == 3
    failed = tried("images", absent)
    assert next(failed) == error("images", "It is not there.")
    assert returned(failed) is None


def test_findings_before_an_error_are_kept() -> None:
    def some() -> Iterator[Finding]:
        yield ok("images", "Fine.")
        absent()

    assert list(guarded("oracle", some())) == [ok("images", "Fine."), error("oracle", "It is not there.")]


def test_an_error_of_the_program_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        next(tried("images", broken))
