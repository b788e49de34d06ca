"""Put changed code in the place of the code that runs."""

import ast
import functools
import importlib.abc
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any


def swap_code(module: ModuleType, tree: ast.Module, function: str) -> bool:
    """Give a function the code that it has in a changed tree, for everybody who has imported it.

    Args:
        module: The module that is imported.
        tree: Its source after the change.
        function: The function's or method's qualified name.

    Returns:
        False where the running function can't be found or holds other variables.
    """
    found = find_function(module, function)
    code = next((one for one in _codes(_compiled(module, tree)) if one.co_qualname == function), None)
    if found is None or code is None or found.__code__.co_qualname != function:
        return False
    if code.co_freevars != found.__code__.co_freevars:
        return False
    found.__code__ = code
    return True


def find_function(module: ModuleType, name: str) -> FunctionType | None:
    """The function of this qualified name without its decorators, or None."""
    value: Any = module
    for part in name.split("."):
        value = vars(value).get(part)
        if value is None:
            return None
    if isinstance(value, property):
        value = value.fget
    elif isinstance(value, functools.cached_property):
        value = value.func
    elif isinstance(value, staticmethod | classmethod):
        value = value.__func__
    while hasattr(value, "__wrapped__"):
        value = value.__wrapped__
    return value if isinstance(value, FunctionType) else None


class ChangedSource(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a changed tree.

    Args:
        name: The module's name.
        path: Its file.
        tree: The file's source after the change.
    """

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self._name, self._path, self._tree = name, path, tree

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `importlib`."""
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=self)

    def create_module(self, spec: ModuleSpec) -> None:
        """See `importlib`."""

    def exec_module(self, module: ModuleType) -> None:
        """See `importlib`."""
        exec(compile(self._tree, str(self._path), "exec"), module.__dict__)

    def install(self) -> None:
        """Import the module from here from now on."""
        sys.meta_path.insert(0, self)


def _compiled(module: ModuleType, tree: ast.Module) -> CodeType:
    return compile(tree, module.__file__ or "?", "exec")


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)
