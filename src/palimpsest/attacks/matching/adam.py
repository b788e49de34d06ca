"""Adam for many independent problems at once, on the gradient or its sign."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from palimpsest.attacks.matching.optimizer import Box, Evaluate, Minimum
from palimpsest.progress import ProgressLine

Sign = Literal["none", "hard", "soft"]
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015) with a learning rate that drops after 3/8, 5/8 and 7/8 of the iterations.

    Args:
        iterations: Number of steps.
        learning_rate: Step size before the first drop.
        decay: Factor that the learning rate is multiplied by at each drop, in (0, 1]. Inverting Gradients uses 0.1,
            GIAMU 0.5.
        sign: "none" uses the gradient g, "hard" its sign (Inverting Gradients), and "soft" tanh(s g) / s. As s falls
            from 1 to 0, the soft sign changes from a bounded gradient to the gradient itself.
    """

    iterations: int
    learning_rate: float
    decay: float = 0.1
    sign: Sign = "none"

    def minimize(
        self, evaluate: Evaluate, start: Tensor, box: Box, line: ProgressLine, *, target: Tensor | None = None
    ) -> Minimum:
        """Minimize from each start.

        Args:
            evaluate: The objective and its gradient.
            start: `[p, k]`, one row for each problem.
            box: Bounds of the unknowns.
            line: Progress line that is advanced after each iteration.
            target: Values of the objective at which the problems stop, `[p]`. If omitted, they take all steps.

        Returns:
            The best point that each problem visited.
        """
        x = box.clamp(start)
        rows = torch.arange(len(x), device=x.device)
        first, second = torch.zeros_like(x), torch.zeros_like(x)
        best, lowest = x.clone(), x.new_full((len(x),), torch.inf)
        history = []
        for iteration in range(self.iterations + 1):
            if not len(rows):
                history.append(lowest.clone())
                continue
            f, g = evaluate(x[rows], rows)
            improved = f < lowest[rows]
            better = rows[improved]
            best[better], lowest[better] = x[better], f[improved]
            history.append(lowest.clone())
            if iteration == self.iterations:
                break
            if target is not None:
                searching = lowest[rows] > target[rows]
                g, rows = g[searching], rows[searching]
            g = self._signed(g.nan_to_num(nan=0.0), iteration)
            first[rows] = first[rows].lerp(g, 1 - _BETA1)
            second[rows] = second[rows].lerp(g.square(), 1 - _BETA2)
            unbiased = first[rows] / (1 - _BETA1 ** (iteration + 1))
            root_mean_square = (second[rows] / (1 - _BETA2 ** (iteration + 1))).sqrt() + _EPSILON
            x[rows] = box.clamp(x[rows] - self._rate(iteration) * unbiased / root_mean_square)
            line.advance(values={"objective": float(lowest.min())})
        return Minimum(best, lowest, torch.stack(history))

    def _rate(self, iteration: int) -> float:
        """Return the learning rate of an iteration."""
        drops = sum(8 * iteration >= eighth * self.iterations for eighth in (3, 5, 7))
        return self.learning_rate * self.decay**drops

    def _signed(self, g: Tensor, iteration: int) -> Tensor:
        """Replace gradients by their hard or soft signs, as `sign` says."""
        if self.sign == "none":
            return g
        if self.sign == "hard":
            return g.sign()
        scale = 1 - iteration / self.iterations
        return (scale * g).tanh() / scale
