"""Stand-ins for modules of extras."""

import math

import pytest

from palimpsest.errors import MissingDependencyError
from palimpsest.system.optional_module import OptionalModule, import_optional


def test_names_the_package_the_purpose_and_the_extra() -> None:
    absent = OptionalModule("absent_package.part", "http", "An HTTP oracle")
    with pytest.raises(
        MissingDependencyError,
        match=r"^An HTTP oracle needs the package absent_package, .*pip install 'palimpsest-audit\[http\]'\.$",
    ):
        _ = absent.Client
    with pytest.raises(MissingDependencyError, match=r"pip install 'palimpsest-audit\[datasets\]'"):
        import_optional("absent_package", "datasets", "Reading tables")


def test_attributes_are_those_of_the_module(monkeypatch: pytest.MonkeyPatch) -> None:
    present = OptionalModule("math", "http", "Arithmetic")
    assert present.sqrt is math.sqrt
    monkeypatch.setattr(math, "sqrt", abs)
    assert present.sqrt is abs
    with pytest.raises(AttributeError, match="nothing"):
        _ = present.nothing


def test_an_except_clause_accepts_a_type_of_the_module() -> None:
    numbers = OptionalModule("decimal", "http", "Arithmetic")
    try:
        quotient = numbers.Decimal(1) / 0
    except numbers.DivisionByZero:
        quotient = math.inf
    assert quotient == math.inf
