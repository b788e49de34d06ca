"""Weights that a checkpoint stores in parts: pruned, weight-normalized, and spectrally normalized layers."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn


class _Form(NamedTuple):
    """One way of storing a weight in parts.

    Args:
        title: The name of the method in messages.
        parts: The suffixes of the stored parts, with `{}` for the weight's own name.
        merge: Makes the weight from the parts, in their order.
    """

    title: str
    parts: tuple[str, ...]
    merge: Callable[..., Tensor]


def _pruned(original: Tensor, mask: Tensor) -> Tensor:
    return original * mask


def _weight_normalized(magnitude: Tensor, direction: Tensor) -> Tensor:
    """Return g v / ||v||, with one norm for each row, or one in all if g has one value (Salimans and Kingma, Eq. 2)."""
    kept = [axis for axis in range(direction.ndim) if magnitude.ndim and magnitude.shape[axis] != 1]
    others = [axis for axis in range(direction.ndim) if axis not in kept]
    norm = torch.linalg.vector_norm(direction, dim=others, keepdim=True) if others else direction.abs()
    return magnitude * direction / norm


def _spectral(original: Tensor, u: Tensor, v: Tensor, *, axis: int) -> Tensor:
    """Return W / (u' W v), the weight in evaluation mode (Miyato et al., Eq. 9).

    Args:
        original: The weight before division.
        u: Left singular vector, along the given axis.
        v: Right singular vector, along the other axes.
        axis: The axis of the layer's outputs.
    """
    matrix = original.movedim(axis, 0).flatten(1)
    return original / (u @ (matrix @ v))


_FORMS = (
    _Form("pruning", ("{}_orig", "{}_mask"), _pruned),
    _Form("weight normalization", ("{}_g", "{}_v"), _weight_normalized),
    _Form(
        "weight normalization",
        ("parametrizations.{}.original0", "parametrizations.{}.original1"),
        _weight_normalized,
    ),
    _Form("spectral normalization", ("{}_orig", "{}_u", "{}_v"), _spectral),
    _Form(
        "spectral normalization",
        ("parametrizations.{}.original", "parametrizations.{}.0._u", "parametrizations.{}.0._v"),
        _spectral,
    ),
)


def merge_parts(tensors: Mapping[str, Tensor], network: nn.Module) -> tuple[dict[str, Tensor], list[str]]:
    """Compute the weights that are stored in parts, as the network has them in evaluation mode.

    Args:
        tensors: A state dict.
        network: The network; only its weights that are not stored as they are get computed.

    Returns:
        The state dict with those weights in place of their parts, and a note for each method that was found.

    Example:
        >>> state = {"weight_orig": torch.ones(1, 2), "weight_mask": torch.tensor([[1.0, 0.0]])}
        >>> merge_parts(state, nn.Linear(2, 1, bias=False))
        ({'weight': tensor([[1., 0.]])}, ['merged pruning of 1 weight'])
    """
    merged = dict(tensors)
    counts: dict[str, int] = {}
    for name, _ in network.named_parameters(remove_duplicate=False):
        if name in merged:
            continue
        layer, _, weight = name.rpartition(".")
        for form in _FORMS:
            parts = [".".join(filter(None, (layer, part.format(weight)))) for part in form.parts]
            if all(part in merged for part in parts):
                settings = {} if form.merge is not _spectral else {"axis": _output_axis(network, layer)}
                with torch.no_grad():
                    merged[name] = form.merge(*(merged.pop(part).float() for part in parts), **settings)
                counts[form.title] = counts.get(form.title, 0) + 1
                break
    notes = [f"merged {title} of {count:,} weight{'s' * (count > 1)}" for title, count in counts.items()]
    return merged, notes


def _output_axis(network: nn.Module, layer: str) -> int:
    """The axis of a weight that counts the layer's outputs."""
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    return int(isinstance(network.get_submodule(layer), transposed))
