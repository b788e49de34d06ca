"""Modules that a configuration asks to import, because they register components that it names."""

from collections.abc import Mapping
from typing import Any

from palimpsest.system.import_by_name import import_named_module

KEY = "imports"


def imported_names(tree: Mapping[str, Any]) -> list[Any]:
    """What stands under `imports`, as a list; a single name needs none."""
    value = tree.get(KEY) or []
    return list(value) if isinstance(value, list | tuple) else [value]


def load_imports(tree: Mapping[str, Any]) -> None:
    """Import the modules under a mapping's key `imports`.

    Importing runs a module, so this is done for what a user gives, and never for what a run folder holds.

    Args:
        tree: Keys and values as in a preset. A value that is no text is left to the validation.

    Raises:
        ConfigurationError: A module can't be imported.
    """
    for name in imported_names(tree):
        if isinstance(name, str):
            import_named_module(name)
