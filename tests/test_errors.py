import ast
import inspect
from pathlib import Path

import pytest

import palimpsest
from palimpsest import errors
from palimpsest.errors import PalimpsestError

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, Exception) and kind is not PalimpsestError
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_extends_the_base_class(kind: type[Exception]) -> None:
    assert issubclass(kind, PalimpsestError)
    assert kind.__doc__
    assert str(kind("One sentence.")) == "One sentence."


def test_errors_extend_no_built_in_error() -> None:
    builtin = (ValueError, RuntimeError, OSError, LookupError, TypeError)
    assert not any(issubclass(kind, builtin) for kind in KINDS)


def test_every_error_is_raised() -> None:
    raised: set[str] = set()
    for path in Path(palimpsest.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                raised.add(node.func.id)
    assert {kind.__name__ for kind in KINDS} <= raised
