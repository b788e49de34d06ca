"""Products of a vector with J'J, where J is the derivative of a sample's proof with respect to the sample."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from palimpsest.errors import ModelError
from palimpsest.gradients import DEFAULT_BUDGET, parameter_count, trainable_parameters
from palimpsest.gradients.per_sample import check_same, eval_mode
from palimpsest.storage import Parameters

# Vectors of length d that a product holds at a time: both gradients, their tangents, and the graph of each.
_COPIES = 24
_LARGEST_BATCH = 64


@dataclass(frozen=True)
class Sensitivity:
    """Second-order products of the gradient difference of two models.

    Where a ReLU or a maximum switches, the gradient difference jumps. The products are those of the smooth pieces.

    Args:
        original: The model before unlearning.
        unlearned: The model after unlearning, of the same architecture.
        mean: Differentiable function from a proof `[1, d]` to the mean of its release, such as clipping.
        memory_budget: Bytes that a product may use; fewer are used if a batch is small.
    """

    original: nn.Module
    unlearned: nn.Module
    mean: Callable[[Tensor], Tensor] = lambda proofs: proofs
    memory_budget: int = DEFAULT_BUDGET

    def normal_products(self, images: Tensor, labels: Tensor, vectors: Tensor) -> Tensor:
        """Multiply vectors by J'J of each image, with one Jacobian-vector and one vector-Jacobian product for each.

        Args:
            images: `[n, ...]`, p coordinates each.
            labels: `[n]` int64.
            vectors: `[n, s, p]`: s vectors for each image.

        Returns:
            `[n, s, p]`, in the models' type.

        Raises:
            ModelError: The models differ, or a layer has no second derivative or mixes samples.
        """
        check_same(self.original, self.unlearned)
        parameter = next(self.original.parameters())
        count, probes, _ = vectors.shape
        rows = torch.arange(count).repeat_interleave(probes)
        tangents = vectors.reshape(count * probes, *images.shape[1:]).to(parameter)
        size = self.memory_budget // (_COPIES * 4 * parameter_count(self.original))
        size = max(1, min(size, _LARGEST_BATCH))
        try:
            with eval_mode(self.original), eval_mode(self.unlearned), sdpa_kernel(SDPBackend.MATH):
                products = [
                    self._product(images[chosen].to(parameter), labels[chosen].to(parameter.device), tangent)
                    for chosen, tangent in zip(rows.split(size), tangents.split(size), strict=True)
                ]
        except (RuntimeError, ValueError, NotImplementedError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"{type(self.original).__name__} has no second derivative of its loss ({reason}). Use layers that "
                "torch.func can differentiate twice."
            ) from error
        return torch.cat(products).view(vectors.shape).detach()

    def _product(self, images: Tensor, labels: Tensor, tangents: Tensor) -> Tensor:
        def one(image: Tensor, label: Tensor, tangent: Tensor) -> Tensor:
            def release(image: Tensor) -> Tensor:
                before, after = (_gradient(model, image, label) for model in (self.original, self.unlearned))
                return self.mean((before - after)[None])[0]

            # The derivative of a vector-Jacobian product with respect to its vector is a Jacobian-vector product, which
            # needs no rule for forward-mode differentiation.
            value, pull = _vjp(release, image)
            _, along = _vjp(lambda vector: pull(vector)[0], torch.zeros_like(value))
            return pull(along(tangent)[0])[0]

        return vmap(one)(images, labels, tangents)


def _vjp(function: Callable[[Tensor], Tensor], point: Tensor) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """Return the function's value, and the function that multiplies a vector by the transposed derivative."""
    found: Any = vjp(function, point)
    return found[0], found[1]


def _gradient(model: nn.Module, image: Tensor, label: Tensor) -> Tensor:
    """Return the flattened gradient of one image's loss, `[d]`, differentiable in the image."""
    parameters = {name: value.detach() for name, value in trainable_parameters(model).items()}
    constants = {name: value.detach() for name, value in model.named_parameters() if name not in parameters}
    constants |= dict(model.named_buffers())

    def loss(parameters: Parameters) -> Tensor:
        logits = functional_call(model, (parameters, constants), (image[None],))
        return F.cross_entropy(logits, label[None])

    gradients = grad(loss)(parameters)
    return torch.cat([gradients[name].flatten() for name in parameters])
