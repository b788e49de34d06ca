"""Distances between the gradient of a candidate batch and the observed gradient."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

ObjectiveName = Literal["euclidean", "cosine"]


def euclidean(gradient: Tensor, observed: Tensor) -> Tensor:
    """Compute the squared Euclidean distance in units of the observed squared norm (DLG, DRAGD).

    Args:
        gradient: `[..., d]`.
        observed: `[..., d]`.

    Returns:
        `[...]`: 0 for equal gradients, 1 for a gradient of zero.
    """
    return (gradient - observed).square().sum(-1) / observed.square().sum(-1)


def cosine(gradient: Tensor, observed: Tensor) -> Tensor:
    """Compute one minus the cosine of the angle (Inverting Gradients, Eq. 4).

    It is computed as half the squared distance of the unit vectors, which is precise near zero.

    Args:
        gradient: `[..., d]`.
        observed: `[..., d]`.

    Returns:
        `[...]`, in [0, 2]; independent of both lengths.
    """
    unit, observed_unit = (vector / vector.norm(dim=-1, keepdim=True) for vector in (gradient, observed))
    return (unit - observed_unit).square().sum(-1) / 2


OBJECTIVES: dict[ObjectiveName, Callable[[Tensor, Tensor], Tensor]] = {
    "euclidean": euclidean,
    "cosine": cosine,
}
