"""The mean gradient of a batch as a differentiable function: clients send it and servers match it."""

import copy
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from palimpsest.gradients.batched import BatchedGradients
from palimpsest.storage import Parameters


class BatchGradient:
    """The mean gradient of the cross-entropy over a batch, in eval mode, as a function of parameters and samples.

    Clients and attackers use this one function, so that a batch that equals the client's explains its gradient
    exactly. It can be differentiated once more, and batched with `torch.func.vmap`.

    A client that takes several local steps sends an update. Divided by minus the sum of its step sizes it is the
    mean of the gradients along the steps, and that is what is returned for `local_steps > 1`.

    Args:
        model: The architecture; it is copied, and its own parameters do not matter.
        local_steps: Full-batch steps of SGD that a client takes.
        learning_rate: The steps' size; it has no effect on a single step.
    """

    def __init__(self, model: nn.Module, *, local_steps: int = 1, learning_rate: float = 0.1) -> None:
        self._network = copy.deepcopy(model).eval().requires_grad_(False)
        self._names = tuple(name for name, _ in model.named_parameters())
        self.local_steps = local_steps
        self.learning_rate = learning_rate

    def __call__(self, parameters: Parameters, images: Tensor, targets: Tensor) -> Tensor:
        """The gradient at these parameters.

        Args:
            parameters: A state dict of the model.
            images: `[n, channels, height, width]`.
            targets: The probability of each class, `[n, classes]`; one-hot for a known label.

        Returns:
            `[d]`, flattened and concatenated in `named_parameters()` order.
        """
        point = {name: parameters[name] for name in self._names}
        buffers = {name: value for name, value in parameters.items() if name not in point}

        def loss(point: Parameters) -> Tensor:
            return F.cross_entropy(functional_call(self._network, (point, buffers), (images,)), targets)

        total = self.flatten(grad(loss)(point))
        for _ in range(self.local_steps - 1):
            total = total + self.flatten(grad(loss)(self._step(point, total)))
        return total / self.local_steps

    def at(self, parameters: Parameters, sample: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
        """The gradients of many batches at these parameters.

        Args:
            parameters: A state dict of the model.
            sample: An image like those that will be asked about, `[channels, height, width]`.

        Returns:
            From images `[p, n, channels, height, width]` and targets `[p, n, classes]` the gradients `[p, d]`, which
            can be differentiated once more.
        """
        # In float32 the libraries' own convolutions are faster than one product for all batches.
        if self.local_steps == 1 and sample.dtype == torch.float64:
            batched = BatchedGradients(self._network, parameters)
            if batched.suits(sample[None]):
                return batched
        return vmap(partial(self, parameters))

    def flatten(self, parameters: Parameters) -> Tensor:
        """Parameters, or a gradient by their names, as one vector `[d]` in `named_parameters()` order; buffers are left
        out."""
        return torch.cat([parameters[name].flatten() for name in self._names])

    def _step(self, point: Parameters, total: Tensor) -> Parameters:
        pieces = total.split([point[name].numel() for name in self._names])
        return {
            name: point[name] - self.learning_rate * piece.view_as(point[name])
            for name, piece in zip(self._names, pieces, strict=True)
        }
