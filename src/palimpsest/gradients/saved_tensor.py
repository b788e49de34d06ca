"""Tensor saved for the backward pass, guarded against in-place changes by autograd's version counter."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


class SavedTensor:
    """Tensor that can be read back as long as it has not been modified in place.

    Args:
        values: The tensor to save; it is not copied.
    """

    def __init__(self, values: Tensor) -> None:
        """Save the tensor in a node of its own."""
        with torch.enable_grad():
            # A detached tensor shares the version counter but keeps no graph alive.
            self._node: Any = _Save.apply(values.detach(), torch.empty(0, requires_grad=True)).grad_fn

    def get(self) -> Tensor:
        """Return the tensor, detached.

        Raises:
            RuntimeError: The tensor was modified in place.
        """
        return self._node.saved_tensors[0]

    def was_modified(self) -> bool:
        """Return True if the tensor was modified in place."""
        try:
            self.get()
        except RuntimeError:
            return True
        return False


class _Save(Function):
    """Autograd function that saves a tensor; the second argument makes autograd keep the node."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, anchor: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return anchor.clone()

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[None, None]:
        return None, None
