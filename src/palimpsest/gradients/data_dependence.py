"""Detection of a computation that depends on the values of its tensors: branches, and shapes that follow from data."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from palimpsest.errors import PalimpsestError

_READING = {
    torch.ops.aten._local_scalar_dense.default,  # item(), bool(), int(), float()
    torch.ops.aten.equal.default,
    torch.ops.aten.masked_select.default,
    torch.ops.aten.nonzero.default,
    torch.ops.aten._unique2.default,
    torch.ops.aten.unique_dim.default,
}


class DataDependenceError(PalimpsestError):
    """An operation read the values of a tensor."""


class DataDependence(TorchDispatchMode):
    """Context that ends at the first operation that reads values, as `if tensor.sum() > 0` and `rows[mask]` do.

    Such a computation may treat a sample of a batch otherwise than the sample alone.

    Attributes:
        found: Whether values were read.

    Raises:
        DataDependenceError: Within the context, where values are read.

    Example:
        >>> with DataDependence() as dependence:
        ...     _ = torch.ones(3).relu()
        >>> dependence.found
        False
    """

    def __init__(self) -> None:
        """Start with nothing found."""
        super().__init__()
        self.found = False
        self._is_paused = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Record nothing while this inner context lasts, in which operations are as fast as outside of both."""
        if self._is_paused:
            yield
            return
        self.__exit__(None, None, None)
        self._is_paused = True
        try:
            yield
        finally:
            self._is_paused = False
            self.__enter__()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation, unless it reads values."""
        if func in _READING or (func is torch.ops.aten.index.Tensor and _has_mask(args[1])):
            self.found = True
            raise DataDependenceError(f"{func} reads the values of a tensor.")
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def reads_values(model: nn.Module, images: torch.Tensor) -> bool:
    """Return whether a model's forward pass reads values, such as for a branch on its data.

    Args:
        model: The model, in eval mode.
        images: One or more images of the shape that the model takes.

    Returns:
        True if a value is read; False also if the pass fails for another reason.
    """
    with DataDependence() as dependence, suppress(Exception):
        model(images)
    return dependence.found


def _has_mask(indices: list[torch.Tensor | None]) -> bool:
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)
