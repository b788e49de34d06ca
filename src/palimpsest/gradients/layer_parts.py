"""Parameters of one use of a layer, and the projection of its weights' gradients."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from palimpsest.gradients.factor_projection import FactorProjection
from palimpsest.gradients.layer_rules import FactoredPartRule, PartRule


class Part(NamedTuple):
    """Some parameters of a layer at one of its uses.

    Args:
        names: Names in the model of the parameters whose gradients are computed; they are adjacent in the vector.
        rule: Writes their gradients.
        factored: Projects the gradients of weights without computing them, or None.
    """

    names: Sequence[str]
    rule: PartRule
    factored: FactoredPartRule | None


Consume = Callable[[Part, Tensor, Sequence[Tensor]], None]
"""Called at each use of a layer, with the backpropagated gradients and the saved tensors that the rules need."""


class Projector(NamedTuple):
    """Projection of weights' gradients from both sides.

    Args:
        find: Maps the first column of a parameter, and its rows and columns as a matrix, to the matrices for its
            factors. None means that the parameter's gradients are to be computed.
        add: Called with the first column of a parameter and its projected gradients `[n, r, s]` at one use.
    """

    find: Callable[[int, tuple[int, int]], FactorProjection | None]
    add: Callable[[int, Tensor], None]
