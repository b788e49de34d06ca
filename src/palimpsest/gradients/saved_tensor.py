"""A tensor kept for the backward pass, which autograd's version counter guards against in-place changes."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


class SavedTensor:
    """A tensor that can be read back for as long as nothing has changed it in place.

    Args:
        values: Any tensor; it is not copied.
    """

    def __init__(self, values: Tensor) -> None:
        with torch.enable_grad():
            # A detached tensor shares the version counter, and holds no graph.
            self._node: Any = _Save.apply(values.detach(), torch.empty(0, requires_grad=True)).grad_fn

    def get(self) -> Tensor:
        """The tensor, detached.

        Raises:
            RuntimeError: It was changed in place.
        """
        return self._node.saved_tensors[0]

    def was_modified(self) -> bool:
        """Whether the tensor was changed in place."""
        try:
            self.get()
        except RuntimeError:
            return True
        return False


class _Save(Function):
    """Save a tensor as a layer does; the second argument makes autograd keep the node."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, anchor: Tensor) -> Tensor:
        ctx.save_for_backward(values)
        return anchor.clone()

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[None, None]:
        return None, None
