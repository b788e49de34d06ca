"""Adam for many independent problems at once, with the gradient or its sign."""

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
    """Adam (Kingma and Ba 2015), whose learning rate drops after 3/8, 5/8, and 7/8 of the iterations.

    Args:
        iterations: Number of steps.
        learning_rate: Step size before the first drop.
        decay: Factor of the learning rate at each drop, in (0, 1] (Inverting Gradients: 0.1; GIAMU: 0.5).
        sign: "none" uses the gradient g, "hard" its sign (Inverting Gradients), and "soft" tanh(s g) / s, with s
            falling from 1 to 0, which turns a bounded gradient into the gradient itself.
    """

    iterations: int
    learning_rate: float
    decay: float = 0.1
    sign: Sign = "none"

    def minimize(self, evaluate: Evaluate, start: Tensor, box: Box, line: ProgressLine) -> Minimum:
        """Descend from each start, and return the best point of each path; arguments as for `LBFGS.minimize`."""
        x = box.clamp(start)
        rows = torch.arange(len(x), device=x.device)
        first, second = torch.zeros_like(x), torch.zeros_like(x)
        best, lowest = x.clone(), x.new_full((len(x),), torch.inf)
        history = []
        for iteration in range(self.iterations + 1):
            f, g = evaluate(x, rows)
            better = f < lowest
            best[better], lowest[better] = x[better], f[better]
            history.append(lowest.clone())
            if iteration == self.iterations:
                break
            g = self._signed(g.nan_to_num(nan=0.0), iteration)
            first.lerp_(g, 1 - _BETA1)
            second.lerp_(g.square(), 1 - _BETA2)
            unbiased = first / (1 - _BETA1 ** (iteration + 1))
            spread = (second / (1 - _BETA2 ** (iteration + 1))).sqrt() + _EPSILON
            x = box.clamp(x - self._rate(iteration) * unbiased / spread)
            line.advance(values={"objective": float(lowest.min())})
        return Minimum(best, lowest, torch.stack(history))

    def _rate(self, iteration: int) -> float:
        drops = sum(8 * iteration >= eighths * self.iterations for eighths in (3, 5, 7))
        return self.learning_rate * self.decay**drops

    def _signed(self, g: Tensor, iteration: int) -> Tensor:
        if self.sign == "none":
            return g
        if self.sign == "hard":
            return g.sign()
        scale = 1 - iteration / self.iterations
        return (scale * g).tanh() / scale
