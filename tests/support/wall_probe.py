"""Search of everything that an attack can reach when it is called, for forgotten samples."""

import functools
import gc
import sys
import types
import weakref
from array import array
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from _pytest.logging import LogCaptureHandler
from PIL import Image
from tests.support.forgotten import LIBRARIES, Forgotten
from torch import Tensor

METHODS = ("__call__", "learn", "invert")
"""Names of the methods that a run calls on an attack."""
_MOST = 1_000_000
_OURS = ("palimpsest", "tests")
_ROOT = Path(__file__).parents[2]


class WallProbe:
    """Probe that searches what attacks can reach, without changing the run.

    It searches the attack object, its arguments and everything that Python's garbage collector reaches from them:
    attributes, closures, bound methods, generators, partial functions, caches, and saved tensors of autograd. For
    functions and classes outside of libraries, it also searches class attributes and the module variables that their
    code names. For a path, such as the scratch folder, it searches the files. It also searches files that the process
    has open. It does not search the frames that call the attack.

    Args:
        forgotten: Samples that must not be found.
    """

    def __init__(self, forgotten: Forgotten) -> None:
        self._forgotten = forgotten
        self.calls: Counter[str] = Counter()
        self.leaks: list[str] = []
        self.searched = 0

    def watch(self, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
        """Search before each call of an attack of this class.

        Args:
            kind: The attack's class.
            monkeypatch: Patch that undoes the change after the test.
        """
        for name in METHODS:
            if hasattr(kind, name):
                monkeypatch.setattr(kind, name, self._watched(kind, name, getattr(kind, name)))

    def _watched(self, kind: type, name: str, original: Any) -> Any:
        @functools.wraps(original)
        def called(attack: object, *arguments: object, **named: object) -> object:
            self.calls[name] += 1
            self.look(f"{kind.__name__}.{name}", (attack, arguments, named))
            return original(attack, *arguments, **named)

        return called

    def look(self, place: str, roots: object) -> None:
        """Search everything that is reachable from an object, and record leaks.

        Args:
            place: Name of the call, for the record.
            roots: The object.
        """
        memories: set[object] = set()
        # Pytest keeps the records of the log, which name the run's folder.
        for value, chain in reachable(roots, ignored=(WallProbe, Forgotten, LogCaptureHandler)):
            self.searched += 1
            if self._holds(value, memories):
                self.leaks.append(f"{place}: {chain}")
            if isinstance(value, Path) and not _of_program(value):
                self.leaks += [f"{place}: {chain} {path}" for path in self._forgotten.in_folder(value)]
        self.leaks += [f"{place}: open file {name}" for name in self._forgotten.in_open_files()]

    def _holds(self, value: object, memories: set[object]) -> bool:
        match value:
            case Tensor():
                return _new(_place(value), memories) and self._forgotten.in_tensor(value)
            case np.ndarray():
                if value.dtype.kind not in "biufc" or not value.size:
                    return False
                return self._forgotten.in_tensor(torch.from_numpy(np.array(value)))
            case Image.Image():
                return self._forgotten.in_tensor(torch.from_numpy(np.array(value)))
            case list() | tuple() | array():
                numbers = _numbers(value)
                return numbers is not None and self._forgotten.in_tensor(numbers)
        try:
            content = memoryview(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, BufferError):
            return False
        return content.nbytes >= self._forgotten.size and self._forgotten.in_bytes(content.tobytes())


def reachable(roots: object, *, ignored: tuple[type, ...] = ()) -> Iterator[tuple[object, str]]:
    """Yield all objects that are reachable from others, each with the chain of types that leads to it.

    Args:
        roots: The objects to start from.
        ignored: Classes whose objects are not entered.
    """
    # Keeping the objects alive prevents a new object from reusing the id of a visited one.
    visited: dict[int, tuple[object, str]] = {}
    waiting = deque([(roots, "")])
    while waiting:
        value, parent_chain = waiting.popleft()
        if id(value) in visited or isinstance(value, ignored) or value is visited:
            continue
        if isinstance(value, types.ModuleType | types.FrameType | types.CodeType | str | int | float | None):
            continue
        chain = f"{parent_chain} > {type(value).__name__}" if parent_chain else type(value).__name__
        if isinstance(value, types.FunctionType | type):
            chain += f" {value.__qualname__}"
        visited[id(value)] = (value, chain)
        assert len(visited) <= _MOST, f"more than {_MOST:,} objects are reachable, the last one by {chain}"
        yield value, chain
        waiting.extend((other, chain) for other in referents(value))


def referents(value: object) -> Iterable[object]:
    """Yield the objects that an object refers to."""
    match value:
        case types.FunctionType():
            yield from (value.__closure__, value.__defaults__, value.__kwdefaults__, vars(value))
            if not _of_library(value.__module__):
                yield from (
                    value.__globals__[name] for name in _names(value.__code__) if name in value.__globals__
                )
        case type():
            if not _of_library(value.__module__):
                yield from (*vars(value).values(), *value.__bases__)
        case weakref.ref():
            yield value()
        case Tensor():
            yield from gc.get_referents(value)
            yield from (value.grad_fn, value.grad if value.is_leaf else None)
        case torch.autograd.graph.Node():
            yield from (following for following, _ in value.next_functions)
            yield from (getattr(value, name) for name in dir(value) if name.startswith("_saved_"))
        case np.ndarray():
            yield from (value.base, *gc.get_referents(value))
        case memoryview():
            yield value.obj
        case _:
            yield from gc.get_referents(value)


def _of_program(path: Path) -> bool:
    place = str(path.resolve())
    return place == "/" or place.startswith((*LIBRARIES, str(_ROOT))) or str(_ROOT).startswith(place)


@functools.cache
def _of_library(module: str | None) -> bool:
    if module is None or module.partition(".")[0] in _OURS:
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is None or str(Path(file).resolve()).startswith(LIBRARIES)


def _names(code: types.CodeType) -> set[str]:
    """Return the module variables that a function's code, including nested functions, may name."""
    inside = (_names(constant) for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*inside)


def _numbers(values: object) -> Tensor | None:
    """Convert a list of numbers, or of lists of numbers, to a tensor; None if it is neither."""
    first = values
    while isinstance(first, list | tuple | array) and len(first):
        first = first[0]
    if isinstance(first, bool) or not isinstance(first, int | float):
        return None
    try:
        return torch.tensor(values, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None


def _place(value: Tensor) -> object:
    """Return a key that is equal for two identical views of the same memory."""
    if value.layout != torch.strided or value.is_meta:
        return id(value)
    return (value.data_ptr(), value.untyped_storage().data_ptr(), value.dtype, value.shape, value.stride())


def _new(key: object, known: set[object]) -> bool:
    if key in known:
        return False
    known.add(key)
    return True
