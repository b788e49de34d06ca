"""Import by name: a module, or an object named as `module:name`, such as a model factory or an oracle."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from palimpsest.errors import ConfigurationError
from palimpsest.system.torchvision_compat import import_torchvision


def is_reference(text: str) -> bool:
    """Whether a text has the form `module:name`."""
    module, colon, name = text.partition(":")
    return bool(colon) and all(part.isidentifier() for path in (module, name) for part in path.split("."))


def load_reference(text: str, *, what: str) -> Callable[..., Any]:
    """Import what `module:name` names; modules in the working directory are found too.

    Importing runs the module: name only code that you would run yourself.

    Args:
        text: Such as `mypackage.nets:Net`.
        what: What a message calls it, such as "model".

    Raises:
        ConfigurationError: It has another form, can't be imported, or can't be called.
    """
    if not is_reference(text):
        raise ConfigurationError(
            f"The {what} {text!r} is not of the form module:name, such as mypackage.nets:Net."
        )
    module_name, _, name = text.partition(":")
    try:
        found: Any = _import(module_name)
        for part in name.split("."):
            found = getattr(found, part)
    # The module is somebody else's: it may fail in any way.
    except Exception as error:
        raise ConfigurationError(
            f"The {what} {text!r} can't be imported ({type(error).__name__}: {error}): check the name, and that the "
            "package is installed or in the working directory."
        ) from error
    if not callable(found):
        raise ConfigurationError(f"The {what} {text!r} is a {type(found).__name__}, which can't be called.")
    return found


def import_named_module(name: str) -> ModuleType:
    """Import a module, which may register components; modules in the working directory are found too.

    Importing runs the module: name only code that you would run yourself.

    Args:
        name: Such as `my_attack` or `mypackage.attacks`.

    Raises:
        ConfigurationError: It is not a module's name, or it can't be imported.
    """
    if name.endswith(".py") or not all(part.isidentifier() for part in name.split(".")):
        raise ConfigurationError(
            f"{name[:200]!r} is not a module's name: give my_attack for the file my_attack.py in the working directory."
        )
    try:
        return _import(name)
    # The user's module may fail in any way.
    except Exception as error:
        raise ConfigurationError(
            f"The module {name!r} can't be imported ({type(error).__name__}: {error}): check the name, and that it is "
            "installed or in the working directory."
        ) from error


def _import(name: str) -> ModuleType:
    working_directory = str(Path.cwd())
    if working_directory not in sys.path:
        sys.path.insert(0, working_directory)
    if name.partition(".")[0] == "torchvision":
        import_torchvision()
    return importlib.import_module(name)
