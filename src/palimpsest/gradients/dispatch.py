"""Dispatch to a per-sample gradient engine: layer by layer, `vmap(grad)`, or one backward pass per sample."""

from contextlib import suppress
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from palimpsest.errors import ModelError
from palimpsest.gradients.coverage import Coverage
from palimpsest.gradients.data_dependence import reads_values
from palimpsest.gradients.layer_uses import RowCountError
from palimpsest.gradients.layerwise import Layerwise
from palimpsest.gradients.trainable import trainable_parameters
from palimpsest.storage import Parameters

EngineKind = Literal["layer by layer", "vmap", "backward per sample"]


class GradientEngine:
    """Per-sample gradients of one model.

    The kind is that of the fastest engine that the model is known to support. If it then fails for a batch, the engine
    falls back to one backward pass per sample, from this batch on.

    Args:
        model: The model; it must be in eval mode whenever the engine is used.
        kind: How the gradients are computed.
        layerwise: The layer-by-layer engine and the memory format of its images, if that is the kind.

    Attributes:
        kind: How the gradients are computed, after the last batch.
    """

    def __init__(
        self,
        model: nn.Module,
        kind: EngineKind,
        layerwise: tuple[Layerwise, torch.memory_format] | None = None,
    ) -> None:
        """Start with the given kind."""
        self.kind: EngineKind = kind
        self._model = model
        self._layerwise = layerwise

    def write(self, images: Tensor, labels: Tensor, out: Tensor) -> None:
        """Write the gradients of the cross-entropy into the rows of a matrix.

        Args:
            images: `[n, ...]`.
            labels: Class indices, `[n]`.
            out: Receives the gradients, `[n, d]`.

        Raises:
            ModelError: A layer has no per-sample gradient.
        """
        if self.kind == "layer by layer" and self._layerwise is not None:
            layerwise, layout = self._layerwise
            with suppress(RowCountError):
                return layerwise.write(images.contiguous(memory_format=layout), labels, out)
            self.kind = "backward per sample"
        if self.kind == "vmap":
            try:
                return write_with_vmap(self._model, images, labels, out)
            except ModelError:
                if not mixes_no_samples(self._model, images):
                    raise
            self.kind = "backward per sample"
        return write_sample_by_sample(self._model, images, labels, out)


# Measured: the number of samples per call of vmap that is fastest on a CPU.
_CPU_CHUNK_ROWS = 16
# Measured on a CPU: up to this number of samples, one backward pass for each takes less time than the choice of an
# engine and the fixed costs of a batched pass: of any model, with an LSTM, and with branches on the data.
_LOOP_ROWS, _LSTM_LOOP_ROWS, _BRANCHING_LOOP_ROWS = 4, 8, 24


def select_engine(model: nn.Module, images: Tensor, count: int) -> GradientEngine:
    """Select the fastest engine for a model's per-sample gradients.

    One backward pass per sample for few samples; otherwise layer by layer if every layer has a rule; otherwise one
    backward pass per sample if the model has a recurrent layer, which `vmap` slows down; otherwise `vmap`, or one
    backward pass per sample if it fails. The choice depends on the model's layers, on what they compute and on the
    number of samples, never on measured time: the same samples have bitwise the same gradients again.

    Args:
        model: The model; it must be in eval mode, now and whenever the engine is called.
        images: One or more images of the shape that the engine will be called with.
        count: Number of samples that the engine will be called with, over all calls.

    Returns:
        The engine.
    """
    recurrent = [module for module in model.modules() if isinstance(module, nn.RNNBase | nn.RNNCellBase)]
    has_lstm = any(isinstance(module, nn.LSTM) for module in recurrent)
    fits_the_loop = count <= (_LSTM_LOOP_ROWS if has_lstm else _LOOP_ROWS)
    branching = not fits_the_loop and count <= _BRANCHING_LOOP_ROWS and reads_values(model, images[:1])
    if (fits_the_loop or branching) and mixes_no_samples(model, images):
        return GradientEngine(model, "backward per sample")
    found = find_layerwise(model, images)
    if found is not None:
        return GradientEngine(model, "layer by layer", found)
    if recurrent and mixes_no_samples(model, images):
        return GradientEngine(model, "backward per sample")
    return GradientEngine(model, "vmap")


def find_layerwise(
    model: nn.Module, images: Tensor, coverage: Coverage | None = None
) -> tuple[Layerwise, torch.memory_format] | None:
    """Find a model's layer-by-layer engine and the memory format that its images need.

    Args:
        model: The model, in eval mode.
        images: One or more images of the shape that the engine will be called with.
        coverage: The parameters whose gradients are computed. If omitted, all trainable parameters.

    Returns:
        Engine and memory format, or None if the gradients can't be computed layer by layer.
    """
    layerwise = Layerwise(model, coverage)
    for layout in dict.fromkeys((_fast_layout(model, images), torch.contiguous_format)):
        if layerwise.supports(images.contiguous(memory_format=layout)):
            return layerwise, layout
    return None


def write_with_vmap(
    model: nn.Module, images: Tensor, labels: Tensor, out: Tensor, *, chunk_rows: int | None = None
) -> None:
    """Write per-sample gradients of any model, computed by `torch.func.vmap` of `grad`.

    Args:
        model: The model, in eval mode.
        images: `[n, ...]`.
        labels: Class indices, `[n]`.
        out: Receives the gradients, `[n, d]`.
        chunk_rows: Number of samples that are computed at once. If omitted, the fastest number for the device is used.

    Raises:
        ModelError: A layer has no per-sample gradient.
    """
    chunk_rows = chunk_rows or (_CPU_CHUNK_ROWS if images.device.type == "cpu" else len(images))
    for start in range(0, len(images), chunk_rows):
        rows = slice(start, start + chunk_rows)
        _vmap(model, images[rows], labels[rows], out[rows])


def write_sample_by_sample(model: nn.Module, images: Tensor, labels: Tensor, out: Tensor) -> None:
    """Write per-sample gradients by one backward pass for each sample: slow, for any model that autograd supports.

    Args:
        model: The model, in eval mode.
        images: `[n, ...]`.
        labels: Class indices, `[n]`.
        out: Receives the gradients, `[n, d]`.
    """
    parameters = list(trainable_parameters(model).values())
    flags = [parameter.requires_grad for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.requires_grad_()
        with torch.enable_grad():
            for row, image, label in zip(out, images, labels, strict=True):
                loss = F.cross_entropy(model(image[None]), label[None])
                gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
                torch.cat([gradient.flatten() for gradient in gradients], out=row)
    finally:
        for parameter, flag in zip(parameters, flags, strict=True):
            parameter.requires_grad_(flag)


@torch.no_grad()
def mixes_no_samples(model: nn.Module, images: Tensor) -> bool:
    """Return whether a sample's logits stay the same, up to rounding, if another sample of its batch changes.

    Args:
        model: The model, in eval mode.
        images: One or more images of the shape that the engine will be called with.
    """
    image = images[:1]
    other = image + 3 if image.is_floating_point() else images[-1:].flip(-1)
    try:
        alone, with_other = model(image), model(torch.cat([image, other]))
    # A model may fail in any way on such images. The vmap engine then reports the error.
    except Exception:
        return False
    return torch.allclose(alone[0], with_other[0], rtol=1e-4, atol=1e-5)


def _vmap(model: nn.Module, images: Tensor, labels: Tensor, out: Tensor) -> None:
    """Write the gradients of one chunk of samples."""
    parameters = {name: value.detach() for name, value in trainable_parameters(model).items()}
    constants = {name: value.detach() for name, value in model.named_parameters() if name not in parameters}
    constants |= dict(model.named_buffers())

    def loss(parameters: Parameters, image: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(model, (parameters, constants), (image.unsqueeze(0),))
        return F.cross_entropy(logits, label.unsqueeze(0))

    # The fused attention kernels have no batching rule and would run sample by sample.
    with sdpa_kernel(SDPBackend.MATH):
        try:
            gradients = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, images, labels)
        except (RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"{type(model).__name__} has no per-sample gradient for images of shape {tuple(images.shape[1:])} "
                f"({reason}). Check the input shape, and use only layers that process each sample independently."
            ) from error
    torch.cat([gradients[name].flatten(1) for name in parameters], dim=1, out=out)


def _fast_layout(model: nn.Module, images: Tensor) -> torch.memory_format:
    """Return channels last if the model has max pooling, which is then several times as fast on a CPU."""
    has_pooling = any(isinstance(module, nn.MaxPool2d) for module in model.modules())
    channels_last = has_pooling and images.device.type == "cpu" and images.dim() == 4
    return torch.channels_last if channels_last else torch.contiguous_format
