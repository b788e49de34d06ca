"""Protocols of linear functions of gradients that are computed layer by layer, without forming whole vectors."""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Additive(Protocol):
    """Linear function of a vector that is a sum over its columns, such as a sketch or a projection."""

    @property
    def components(self) -> int:
        """Length k of the result."""
        ...

    def __call__(self, vectors: Tensor, /) -> Tensor:
        """Map vectors `[n, d]` to `[n, k]`."""
        ...

    def add(self, result: Tensor, columns: Tensor, *, start: int, sign: int = 1) -> None:
        """Add the contribution of a range of columns.

        Args:
            result: Sum that the contribution is added to in place, `[n, k]`.
            columns: Adjacent columns of the vectors, `[n, width]`.
            start: Index of the first of these columns.
            sign: 1 to add the contribution, -1 to subtract it.
        """
        ...


@runtime_checkable
class Factored(Additive, Protocol):
    """Linear function that projects the gradients of some parameters as matrices, from both sides.

    Such a gradient is a sum of outer products, so its projection follows from the projected factors. Not even the
    gradient of one layer is then computed.
    """

    def factors(self, start: int, shape: tuple[int, int]) -> tuple[Tensor | None, Tensor | None] | None:
        """Return the two matrices for a parameter.

        Args:
            start: Index of the parameter's first column.
            shape: Rows and columns of the parameter as a matrix.

        Returns:
            Matrices `[rows, r]` and `[columns, s]`, of which one may be None, which means the identity. None if the
            parameter is not projected as a matrix of this shape.
        """
        ...

    def add_projected(self, result: Tensor, projected: Tensor, *, start: int, sign: int = 1) -> None:
        """Add the contribution of a parameter whose gradients are projected already.

        Args:
            result: Sum that the contribution is added to in place, `[n, k]`.
            projected: Gradients, projected by the matrices of `factors`, `[n, r, s]`.
            start: Index of the parameter's first column.
            sign: 1 to add the contribution, -1 to subtract it.
        """
        ...
