"""Import by name: a module, or an object named as `module:name`, such as a model factory or an oracle."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from palimpsest.errors import ConfigurationError


def is_reference(text: str) -> bool:
    """Return whether a text has the form `module:name` or `file.py:name`."""
    module, colon, name = text.rpartition(":")
    named = all(part.isidentifier() for part in name.split("."))
    if module.endswith(".py"):
        return bool(colon) and named
    return bool(colon) and named and all(part.isidentifier() for part in module.split("."))


def load_reference(text: str, *, what: str) -> Callable[..., Any]:
    """Import the object that `module:name` refers to, also from a module in the working directory.

    Importing runs the module, so only name code that you would run yourself.

    Args:
        text: The reference, such as `mypackage.nets:Net` or `code/nets.py:Net`.
        what: The object's role in error messages, such as "model".

    Returns:
        The object, which is callable.

    Raises:
        ConfigurationError: The text has another form, or the object can't be imported or called.
    """
    if not is_reference(text):
        raise ConfigurationError(
            f"The {what} {text!r} is not of the form module:name or file.py:name, such as mypackage.nets:Net."
        )
    module_name, _, name = text.rpartition(":")
    # Imported late because it needs torch.
    from palimpsest.system.torchvision_compat import declare_operators

    # Networks of torchvision, transformers and timm import it.
    declare_operators()
    try:
        target: Any = _load_file(Path(module_name)) if module_name.endswith(".py") else _import(module_name)
        for part in name.split("."):
            target = getattr(target, part)
    # The module is user code and may raise anything.
    except Exception as error:
        raise ConfigurationError(
            f"The {what} {text!r} can't be imported ({type(error).__name__}: {error}). Check the name, and that the "
            "package is installed or in the working directory."
        ) from error
    if not callable(target):
        raise ConfigurationError(f"The {what} {text!r} is a {type(target).__name__}, which can't be called.")
    return target


def import_named_module(name: str) -> ModuleType:
    """Import a module, which may register components, also from the working directory.

    Importing runs the module, so only name code that you would run yourself.

    Args:
        name: The module's name, such as `my_attack` or `mypackage.attacks`.

    Returns:
        The module.

    Raises:
        ConfigurationError: The name is not a module's name, or the module can't be imported.
    """
    if name.endswith(".py") or not all(part.isidentifier() for part in name.split(".")):
        raise ConfigurationError(
            f"{name[:200]!r} is not a module's name. Write my_attack for the file my_attack.py in the working "
            "directory."
        )
    try:
        return _import(name)
    # The module is user code and may raise anything.
    except Exception as error:
        raise ConfigurationError(
            f"The module {name!r} can't be imported ({type(error).__name__}: {error}). Check the name, and that the "
            "module is installed or in the working directory."
        ) from error


def _import(name: str) -> ModuleType:
    working_directory = str(Path.cwd())
    if working_directory not in sys.path:
        sys.path.insert(0, working_directory)
    return importlib.import_module(name)


def _load_file(path: Path) -> ModuleType:
    """Import a file as a module of its name; modules beside it can be imported too."""
    path = path.expanduser().resolve()
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    module = importlib.import_module(path.stem)
    if Path(module.__file__ or "").resolve() != path:
        raise ImportError(
            f"another module {path.stem!r} was imported from {module.__file__}; rename the file"
        )
    return module
