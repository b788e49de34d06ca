"""How far a dummy batch's gradient is from the observed one."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor

ObjectiveName = Literal["euclidean", "cosine"]


def euclidean(gradient: Tensor, observed: Tensor) -> Tensor:
    """Squared Euclidean distance in units of the observed gradient's (DLG, DRAGD): 0 where both are equal.

    Args:
        gradient: `[..., d]`.
        observed: `[..., d]`.

    Returns:
        `[...]`, 1 for a gradient of zero.
    """
    return (gradient - observed).square().sum(-1) / observed.square().sum(-1)


def cosine(gradient: Tensor, observed: Tensor) -> Tensor:
    """One minus the cosine of the angle (Inverting Gradients, Eq. 4): blind to length, from 0 to 2.

    Computed as half the squared distance of the unit vectors, which keeps its precision near zero.

    Args:
        gradient: `[..., d]`.
        observed: `[..., d]`.

    Returns:
        `[...]`.
    """
    unit, wanted = (vector / vector.norm(dim=-1, keepdim=True) for vector in (gradient, observed))
    return (unit - wanted).square().sum(-1) / 2


OBJECTIVES: dict[ObjectiveName, Callable[[Tensor, Tensor], Tensor]] = {
    "euclidean": euclidean,
    "cosine": cosine,
}
