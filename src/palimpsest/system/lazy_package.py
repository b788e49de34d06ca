"""Packages whose public names are imported when they are first used, so that a light command waits for no torch."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any


def import_on_first_use(package: str, names: Mapping[str, Sequence[str]]) -> None:
    """Let a package import its public names when they are first used.

    Call it in the package's `__init__`, with the same names imported under `TYPE_CHECKING` for type checkers.

    Args:
        package: Full name of the package, `__name__`.
        names: Public names, by the full name of the module that defines them.
    """
    module = sys.modules[package]
    vars(module)["_module_of_name"] = {name: place for place, group in names.items() for name in group}
    module.__class__ = LazyPackage


class LazyPackage(ModuleType):
    """A package's module that imports a public name when it is first used."""

    _module_of_name: Mapping[str, str]

    def __getattr__(self, name: str) -> Any:
        """Import a public name and keep it as an attribute."""
        # A copy of the module, such as that of a debugger, may have no table.
        place = vars(self).get("_module_of_name", {}).get(name)
        if place is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(place), name)
        super().__setattr__(name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, unless it is a submodule with the name of a public function."""
        # Importing the package palimpsest.report would otherwise replace the function palimpsest.report.
        if not (name in self._module_of_name and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        """List the module's attributes and all public names."""
        return sorted({*super().__dir__(), *self._module_of_name})
