"""Packages of extras, which are imported when they are first used."""

import importlib
from types import ModuleType
from typing import Any

from palimpsest.distribution import Extra, install_command
from palimpsest.errors import MissingDependencyError


class OptionalModule(ModuleType):
    """Stand-in for a module of an extra, which imports the module when one of its attributes is used.

    A type checker sees the module itself:

        if TYPE_CHECKING:
            import httpx
        else:
            httpx = OptionalModule("httpx", "http", "An HTTP oracle")

    Args:
        name: Full name of the module.
        extra: The extra that installs it.
        purpose: As for `import_optional`.
    """

    def __init__(self, name: str, extra: Extra, purpose: str) -> None:
        """Keep the names; nothing is imported."""
        super().__init__(name)
        self._extra: Extra = extra
        self._purpose = purpose

    def __getattr__(self, attribute: str) -> Any:
        """Return an attribute of the module.

        Raises:
            MissingDependencyError: The package is not installed.
        """
        # Attributes are not kept, so that a test can replace those of the module.
        return getattr(import_optional(self.__name__, self._extra, self._purpose), attribute)


def import_optional(name: str, extra: Extra, purpose: str) -> ModuleType:
    """Import a module of an extra.

    Args:
        name: Full name of the module.
        extra: The extra that installs it.
        purpose: Subject of the sentence that says what needs the package, such as "An HTTP oracle".

    Raises:
        MissingDependencyError: The package is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"{purpose} needs the package {name.partition('.')[0]}, which can't be imported ({error}). Install the "
            f"extra: {install_command(extra)}."
        ) from error
