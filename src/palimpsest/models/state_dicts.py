"""State dicts among the values that a tool stored: found at any depth, or in the order of a list."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

_DEEPEST, _MOST = 4, 64


@dataclass(frozen=True)
class StateDict:
    """Tensors of a model among the stored values.

    Args:
        place: Keys that lead to the tensors, joined by dots, such as `model.state_dict`; empty at the top level.
        tensors: Tensors by name; in a stored list the names are the positions, `0`, `1` and so on.
        ordered: Whether the names are positions in a list.
    """

    place: str
    tensors: dict[str, Tensor]
    ordered: bool = False


def find_state_dicts(stored: object) -> list[StateDict]:
    """Find every state dict in stored values.

    Values that are not arrays, such as an epoch or a note, are left out. So are an optimizer's tensors, whose keys are
    numbers.

    Args:
        stored: What a file contained: mappings and lists, nested in any way.

    Returns:
        At most 64 state dicts, outer ones first.

    Example:
        >>> found = find_state_dicts({"epoch": 3, "model": {"fc.weight": torch.zeros(2, 2)}})
        >>> [(one.place, list(one.tensors)) for one in found]
        [('model', ['fc.weight'])]
    """
    found: list[StateDict] = []
    for state in _search(stored, (), 0):
        found.append(state)
        if len(found) == _MOST:
            break
    return found


def _search(stored: object, place: tuple[str, ...], depth: int) -> Iterator[StateDict]:
    name = ".".join(place)
    if isinstance(stored, Mapping):
        arrays = {key: as_tensor(value) for key, value in stored.items() if isinstance(key, str)}
        tensors = {key: value for key, value in arrays.items() if value is not None}
        # A scalar beside other values, such as a step or a metric, is no parameter by itself.
        if any(value.ndim > 0 for value in tensors.values()):
            yield StateDict(name, tensors)
        if depth < _DEEPEST:
            for key, value in stored.items():
                if isinstance(key, str) and not _is_optimizer(key, value):
                    yield from _search(value, (*place, key), depth + 1)
    elif isinstance(stored, Sequence) and not isinstance(stored, str | bytes) and stored:
        values = [as_tensor(value) for value in stored]
        tensors = [value for value in values if value is not None]
        if len(tensors) == len(stored):
            yield StateDict(name, {str(index): value for index, value in enumerate(tensors)}, ordered=True)


def as_tensor(value: object) -> Tensor | None:
    """Return an array or a NumPy scalar as a tensor, or None if the value is neither.

    Args:
        value: Any stored value.
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, np.ndarray | np.generic):
        array: Any = np.asarray(value)
        try:
            # Numbers of the other byte order, which torch does not take, become the machine's own.
            return torch.from_numpy(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))))
        except TypeError:
            return None
    return None


def _is_optimizer(key: str, value: object) -> bool:
    return "optim" in key.lower() or (
        isinstance(value, Mapping) and {"state", "param_groups"} <= value.keys()
    )
