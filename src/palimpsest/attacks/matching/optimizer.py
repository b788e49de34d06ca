"""Common types of the matching attacks' optimizers, which solve many independent problems at once."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Evaluate = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Maps points `[m, k]` and the indices of their problems, `[m]` int64, to values `[m]` and gradients `[m, k]`."""


@dataclass(frozen=True)
class Box:
    """Bounds of the unknowns. The objective is never evaluated outside of them.

    Args:
        low: Lower bounds, `[k]` or a scalar; minus infinity for an unknown without a lower bound.
        high: Upper bounds, `[k]` or a scalar; infinity for an unknown without an upper bound.
    """

    low: Tensor
    high: Tensor

    def clamp(self, points: Tensor) -> Tensor:
        """Project points `[m, k]` onto the box."""
        return points.clamp(self.low, self.high)

    def blocked(self, points: Tensor, gradients: Tensor) -> Tensor:
        """Find the unknowns at a bound that a descent step would cross.

        Args:
            points: `[m, k]`, inside the box.
            gradients: `[m, k]`.

        Returns:
            `[m, k]` bool, True for the blocked unknowns.
        """
        return ((points <= self.low) & (gradients > 0)) | ((points >= self.high) & (gradients < 0))


@dataclass(frozen=True)
class Minimum:
    """The best point that an optimizer found for each of p problems.

    Args:
        points: `[p, k]`.
        values: The objective at these points, `[p]`.
        history: The best value so far after each iteration, `[iterations + 1, p]`; the first row is the start.
    """

    points: Tensor
    values: Tensor
    history: Tensor

    def best(self, restarts: int) -> "Minimum":
        """Select the restart with the lowest objective for each problem.

        Args:
            restarts: Number of starts of each problem. Rows `i * restarts` to `(i + 1) * restarts - 1` belong to
                problem i.

        Returns:
            One row for each problem.
        """
        values = self.values.view(-1, restarts)
        # A diverged start is best only if all starts of a problem diverged.
        best = values.nan_to_num(nan=torch.inf).argmin(dim=1)
        rows = best + torch.arange(len(values), device=best.device) * restarts
        return Minimum(self.points[rows], self.values[rows], self.history[:, rows])
