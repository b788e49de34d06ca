"""Packages that appear not to be installed."""

import sys

import pytest


def without(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make imports of a package and its modules fail until the test ends.

    Args:
        package: Name of the package.
        monkeypatch: The test's fixture.
    """
    loaded = [name for name in sys.modules if name.partition(".")[0] == package]
    for name in {package, *loaded}:
        monkeypatch.setitem(sys.modules, name, None)
