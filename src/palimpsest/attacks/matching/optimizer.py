"""What every optimiser of the matching attacks takes and gives: many independent problems at once."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Evaluate = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Values `[m]` and gradients `[m, k]` of points `[m, k]` of the problems whose rows, `[m]` int64, are given."""


@dataclass(frozen=True)
class Box:
    """Bounds of every unknown; none of the problems ever looks outside.

    Args:
        low: `[k]` or a number, minus infinity for an unknown without a bound.
        high: The same, with infinity.
    """

    low: Tensor
    high: Tensor

    def clamp(self, points: Tensor) -> Tensor:
        """The nearest points inside.

        Args:
            points: `[m, k]`.
        """
        return points.clamp(self.low, self.high)

    def blocked(self, points: Tensor, gradients: Tensor) -> Tensor:
        """Which unknowns sit at a bound that descent would cross, `[m, k]` bool.

        Args:
            points: `[m, k]`, inside.
            gradients: `[m, k]`.
        """
        return ((points <= self.low) & (gradients > 0)) | ((points >= self.high) & (gradients < 0))


@dataclass(frozen=True)
class Minimum:
    """The best point that an optimiser met, for each of p problems.

    Args:
        points: `[p, k]`.
        values: `[p]`, the objective there.
        curve: The best value so far after each iteration, `[iterations + 1, p]`; the first row is the start.
    """

    points: Tensor
    values: Tensor
    curve: Tensor

    def best(self, restarts: int) -> "Minimum":
        """The best restart of each problem by the objective.

        Args:
            restarts: How often each problem was started; rows `i * restarts ... (i + 1) * restarts - 1` are one's.
        """
        values = self.values.view(-1, restarts)
        # A start that diverged is never chosen while another one did not.
        chosen = values.nan_to_num(nan=torch.inf).argmin(dim=1)
        rows = chosen + torch.arange(len(values), device=chosen.device) * restarts
        return Minimum(self.points[rows], self.values[rows], self.curve[:, rows])
