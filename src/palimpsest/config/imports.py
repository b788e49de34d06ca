"""Imports of modules that register the components of a configuration."""

from collections.abc import Mapping
from typing import Any

from palimpsest.system.import_by_name import import_named_module

KEY = "imports"


def imported_names(tree: Mapping[str, Any]) -> list[Any]:
    """Return the value of `imports` as a list.

    Args:
        tree: Keys and values as in a preset; `imports` may be a list or a single name.
    """
    value = tree.get(KEY) or []
    return list(value) if isinstance(value, list | tuple) else [value]


def load_imports(tree: Mapping[str, Any]) -> None:
    """Import the modules that a mapping lists under `imports`.

    An import runs the module's code, so call this only for a user's own configuration, never for one that is read from
    a run folder.

    Args:
        tree: Keys and values as in a preset. Values that are not strings are ignored here and refused by validation.

    Raises:
        ConfigurationError: A module can't be imported.
    """
    for name in imported_names(tree):
        if isinstance(name, str):
            import_named_module(name)
