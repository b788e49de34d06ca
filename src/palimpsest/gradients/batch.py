"""Mean gradient of a batch as a differentiable function: clients send it, and attacking servers match it."""

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
    """Mean gradient of the cross-entropy over a batch, in eval mode, as a function of parameters and samples.

    Clients and attackers share this function, so a batch equal to the client's has exactly the client's gradient. The
    result can be differentiated once more and batched with `torch.func.vmap`.

    A client that takes several local steps sends an update of its parameters. Divided by minus the sum of its step
    sizes, the update is the mean of the gradients along the steps. This mean is returned for `local_steps > 1`.

    Args:
        model: The architecture. It is copied, and its parameters are ignored.
        local_steps: Number of full-batch SGD steps that a client takes, at least 1.
        learning_rate: Step size of the client; it has no effect on a single step.
    """

    def __init__(self, model: nn.Module, *, local_steps: int = 1, learning_rate: float = 0.1) -> None:
        """Copy the architecture and set the client's steps."""
        self._network = copy.deepcopy(model).eval().requires_grad_(False)
        self._names = tuple(name for name, _ in model.named_parameters())
        self.local_steps = local_steps
        self.learning_rate = learning_rate

    def __call__(self, parameters: Parameters, images: Tensor, targets: Tensor) -> Tensor:
        """Compute the gradient at given parameters.

        Args:
            parameters: State dict of the model.
            images: `[n, channels, height, width]`.
            targets: Class probabilities, `[n, classes]`; one-hot for known labels.

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
        """Return a function that computes the gradients of many batches at given parameters.

        Args:
            parameters: State dict of the model.
            sample: An image of the type and shape that the function will be called with, `[channels, height, width]`.

        Returns:
            Function from images `[p, n, channels, height, width]` and targets `[p, n, classes]` to gradients `[p, d]`,
            which can be differentiated once more.
        """
        # In float32, the libraries' convolutions are faster than one matrix product for all batches.
        if self.local_steps == 1 and sample.dtype == torch.float64:
            batched = BatchedGradients(self._network, parameters)
            if batched.supports(sample[None]):
                return batched
        return vmap(partial(self, parameters))

    def flatten(self, parameters: Parameters) -> Tensor:
        """Flatten parameters, or a gradient with their names, to one vector `[d]` in `named_parameters()` order.

        Args:
            parameters: Tensors by parameter name. Other entries, such as buffers, are ignored.

        Returns:
            `[d]`.
        """
        return torch.cat([parameters[name].flatten() for name in self._names])

    def _step(self, point: Parameters, total: Tensor) -> Parameters:
        """Return the parameters after SGD steps whose gradients sum to `total`."""
        parts = total.split([point[name].numel() for name in self._names])
        return {
            name: point[name] - self.learning_rate * part.view_as(point[name])
            for name, part in zip(self._names, parts, strict=True)
        }
