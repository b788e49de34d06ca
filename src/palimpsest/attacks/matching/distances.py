"""Distances between the gradient of a candidate batch and the observed gradient."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

ObjectiveName = Literal["euclidean", "cosine"]


def euclidean(gradient: Tensor, observed: Tensor) -> Tensor:
    """Compute the squared Euclidean distance, divided by the squared norm of the observed gradient (DLG, DRAGD).

    Args:
        gradient: Gradient of the candidate batch, `[..., d]`.
        observed: Observed gradient, `[..., d]`.

    Returns:
        `[...]`, at least 0: 0 for equal gradients, 1 for a gradient of zero.
    """
    return (gradient - observed).square().sum(-1) / observed.square().sum(-1)


def cosine(gradient: Tensor, observed: Tensor) -> Tensor:
    """Compute one minus the cosine of the angle between gradients (Inverting Gradients, Eq. 4).

    Half the squared distance of the unit vectors is the same number and is accurate near zero.

    Args:
        gradient: Gradient of the candidate batch, `[..., d]`.
        observed: Observed gradient, `[..., d]`.

    Returns:
        `[...]`, in [0, 2], whatever the lengths of the gradients.
    """
    unit, observed_unit = (vector / vector.norm(dim=-1, keepdim=True) for vector in (gradient, observed))
    return (unit - observed_unit).square().sum(-1) / 2


OBJECTIVES: dict[ObjectiveName, Callable[[Tensor, Tensor], Tensor]] = {
    "euclidean": euclidean,
    "cosine": cosine,
}
