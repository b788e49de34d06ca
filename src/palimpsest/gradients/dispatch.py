"""How per-sample gradients are computed: layer by layer where the model's layers allow it, else as of any function."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from palimpsest.errors import ModelError
from palimpsest.gradients.layerwise import Layerwise
from palimpsest.storage import Parameters

Writer = Callable[[Tensor, Tensor, Tensor], None]
"""Write the gradients of the cross-entropy at images `[n, ...]` with labels `[n]` into a matrix `[n, d]`."""

# Samples of one call of vmap on a CPU.
_FASTEST = 16


def writer_of(model: nn.Module, images: Tensor) -> Writer:
    """The fastest way that gives a model's per-sample gradients.

    Args:
        model: In eval mode, now and whenever the writer is called.
        images: Of the kind that it will be called with, one or more.
    """
    found = find_layerwise(model, images)
    if found is None:
        return partial(write_with_vmap, model)
    layerwise, ordered = found
    return lambda batch, labels, out: layerwise.write(batch.contiguous(memory_format=ordered), labels, out)


def find_layerwise(model: nn.Module, images: Tensor) -> tuple[Layerwise, torch.memory_format] | None:
    """How a model can be read layer by layer, and in which order images are given to it; none if it can't.

    Args:
        model: In eval mode.
        images: Of the kind that it will be given, one or more.
    """
    layerwise = Layerwise(model)
    for ordered in dict.fromkeys((_order(model, images), torch.contiguous_format)):
        if layerwise.suits(images.contiguous(memory_format=ordered)):
            return layerwise, ordered
    return None


def write_with_vmap(
    model: nn.Module, images: Tensor, labels: Tensor, out: Tensor, *, together: int | None = None
) -> None:
    """The writer for any model: `torch.func.vmap` of `grad`.

    Args:
        model: In eval mode.
        images: `[n, ...]`.
        labels: `[n]`.
        out: `[n, d]`.
        together: How many samples are taken at once; none for what is fastest on their device.

    Raises:
        ModelError: A layer has no per-sample gradient.
    """
    together = together or (_FASTEST if images.device.type == "cpu" else len(images))
    for start in range(0, len(images), together):
        rows = slice(start, start + together)
        _vmap(model, images[rows], labels[rows], out[rows])


def _vmap(model: nn.Module, images: Tensor, labels: Tensor, out: Tensor) -> None:
    parameters = {name: value.detach() for name, value in model.named_parameters()}
    buffers = dict(model.named_buffers())

    def loss(parameters: Parameters, image: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(model, (parameters, buffers), (image.unsqueeze(0),))
        return F.cross_entropy(logits, label.unsqueeze(0))

    # The plain kernel of attention: the fused ones have no batched gradient, and would go sample by sample.
    with sdpa_kernel(SDPBackend.MATH):
        try:
            gradients = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, images, labels)
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"{type(model).__name__} has no per-sample gradient for images of shape {tuple(images.shape[1:])} "
                f"({reason}): check the input shape, and use layers that treat each sample on its own."
            ) from error
    torch.cat([gradients[name].flatten(1) for name in parameters], dim=1, out=out)


def _order(model: nn.Module, images: Tensor) -> torch.memory_format:
    """Channels last where the model pools maxima: on a CPU that is several times as fast as with channels first."""
    pools = any(isinstance(module, nn.MaxPool2d) for module in model.modules())
    last = pools and images.device.type == "cpu" and images.dim() == 4
    return torch.channels_last if last else torch.contiguous_format
