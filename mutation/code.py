"""Replacement of running code with changed code."""

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
    """Replace a function's code in place, so that modules that imported the function before use the new code.

    Args:
        module: The imported module.
        tree: The module's source after the change.
        function: Qualified name of the function or method.

    Returns:
        False if the running function is not found or has other free variables.
    """
    running = find_function(module, function)
    codes = _codes(_compiled(module, tree))
    code = next((candidate for candidate in codes if candidate.co_qualname == function), None)
    if running is None or code is None or running.__code__.co_qualname != function:
        return False
    if code.co_freevars != running.__code__.co_freevars:
        return False
    running.__code__ = code
    return True


def find_function(module: ModuleType, name: str) -> FunctionType | None:
    """Return the function of this qualified name without its decorators, or None if there is none."""
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
    """Import hook that loads one module from a changed tree.

    Args:
        name: The module's name.
        path: The module's file.
        tree: The file's source after the change.
    """

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        """Keep the module's name, file and tree."""
        self._name, self._path, self._tree = name, path, tree

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a spec with this loader for the changed module; see `importlib.abc.MetaPathFinder`."""
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=self)

    def create_module(self, spec: ModuleSpec) -> None:
        """Let importlib create the module; see `importlib.abc.Loader`."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed source; see `importlib.abc.Loader`."""
        exec(compile(self._tree, str(self._path), "exec"), module.__dict__)

    def install(self) -> None:
        """Add this hook, so that later imports of the module use the changed source."""
        sys.meta_path.insert(0, self)


def _compiled(module: ModuleType, tree: ast.Module) -> CodeType:
    return compile(tree, module.__file__ or "?", "exec")


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)
