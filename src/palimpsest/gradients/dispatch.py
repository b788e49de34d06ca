"""Dispatch to a per-sample gradient engine: layer by layer if each layer has a rule, otherwise `vmap(grad)`."""

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

GradientEngine = Callable[[Tensor, Tensor, Tensor], None]
"""Writes the gradients of the cross-entropy at images `[n, ...]` with labels `[n]` into a matrix `[n, d]`."""

# Samples of one call of vmap on a CPU, measured.
_FASTEST = 16


def select_engine(model: nn.Module, images: Tensor) -> GradientEngine:
    """The fastest engine for a model's per-sample gradients.

    Args:
        model: In eval mode, now and whenever the engine is called.
        images: One or more, of the shape that the engine will be called with.
    """
    found = find_layerwise(model, images)
    if found is None:
        return partial(write_with_vmap, model)
    layerwise, layout = found
    return lambda batch, labels, out: layerwise.write(batch.contiguous(memory_format=layout), labels, out)


def find_layerwise(model: nn.Module, images: Tensor) -> tuple[Layerwise, torch.memory_format] | None:
    """The layer-by-layer engine of a model and the memory format that its images need; None if the model has none.

    Args:
        model: In eval mode.
        images: One or more, of the shape that the engine will be called with.
    """
    layerwise = Layerwise(model)
    for layout in dict.fromkeys((_fast_layout(model, images), torch.contiguous_format)):
        if layerwise.suits(images.contiguous(memory_format=layout)):
            return layerwise, layout
    return None


def write_with_vmap(
    model: nn.Module, images: Tensor, labels: Tensor, out: Tensor, *, chunk_rows: int | None = None
) -> None:
    """The engine for any model: `torch.func.vmap` of `grad`.

    Args:
        model: In eval mode.
        images: `[n, ...]`.
        labels: `[n]`.
        out: `[n, d]`.
        chunk_rows: How many samples are computed at once. If omitted, the number that is fastest on their device.

    Raises:
        ModelError: A layer has no per-sample gradient.
    """
    chunk_rows = chunk_rows or (_FASTEST if images.device.type == "cpu" else len(images))
    for start in range(0, len(images), chunk_rows):
        rows = slice(start, start + chunk_rows)
        _vmap(model, images[rows], labels[rows], out[rows])


def _vmap(model: nn.Module, images: Tensor, labels: Tensor, out: Tensor) -> None:
    parameters = {name: value.detach() for name, value in model.named_parameters()}
    buffers = dict(model.named_buffers())

    def loss(parameters: Parameters, image: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(model, (parameters, buffers), (image.unsqueeze(0),))
        return F.cross_entropy(logits, label.unsqueeze(0))

    # The fused attention kernels have no batched gradient and would run sample by sample.
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


def _fast_layout(model: nn.Module, images: Tensor) -> torch.memory_format:
    """Channels last if the model has max pooling, which on a CPU is then several times as fast."""
    has_pooling = any(isinstance(module, nn.MaxPool2d) for module in model.modules())
    channels_last = has_pooling and images.device.type == "cpu" and images.dim() == 4
    return torch.channels_last if channels_last else torch.contiguous_format
