"""L-BFGS for many independent problems at once, each with its own line search, within a box."""

from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.matching.minimum import Box, Evaluate, Minimum
from palimpsest.progress import Work

_SUFFICIENT = 1e-4
_CURVATURE = 0.9
_TRIALS = 12
# A problem that gained less than a hundredth in so many iterations has reached the end of the float's precision.
_PATIENCE = 20
_GAIN = 0.01


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS (Nocedal and Wright, Algorithms 7.4 and 7.5).

    The p problems share each evaluation, and so the overhead of the graph; a problem that has converged takes no
    further part. The step is found by bisection for the weak Wolfe conditions (Lewis and Overton 2013,
    Algorithm 2.6). Unknowns at a bound that descent would cross stand still, and steps are projected onto the box
    (Bertsekas 1982).

    Args:
        iterations: At most so many steps for each problem.
        memory: How many pairs of steps and changes of the gradient approximate the curvature.
        tolerance: A problem has converged once no unknown's gradient is larger.
    """

    iterations: int
    memory: int = 20
    tolerance: float = 1e-9

    def minimise(self, evaluate: Evaluate, start: Tensor, box: Box, line: Work) -> Minimum:
        """Descend from each start.

        Args:
            evaluate: The objective.
            start: `[p, k]`.
            box: Bounds of the unknowns.
            line: Told of each iteration.
        """
        x = box.clamp(start)
        rows = torch.arange(len(x), device=x.device)
        f, g = evaluate(x, rows)
        pairs = _Pairs.empty(self.memory, x)
        curve = [f.clone()]
        active = f.isfinite()
        for _ in range(self.iterations):
            still = box.blocked(x, g)
            free = g.masked_fill(still, 0)
            active = active & (free.abs().amax(dim=1) > self.tolerance)
            if len(curve) > _PATIENCE:
                active = active & (f < (1 - _GAIN) * curve[-1 - _PATIENCE])
            rows = active.nonzero().flatten()
            if len(rows):
                direction = -pairs.apply(free, rows).masked_fill_(still[rows], 0)
                here = _Step(x[rows], f[rows], g[rows], found=torch.zeros_like(rows, dtype=torch.bool))
                step = _line_search(evaluate, rows, here, direction, box=box, fresh=pairs.fresh(rows))
                pairs.remember(rows, step.x - x[rows], step.g - g[rows], moved=step.found)
                # A search that fails along the steepest descent has reached the end of the float's precision.
                active[rows] = step.found | ~pairs.fresh(rows)
                pairs.forget(rows[~step.found])
                x[rows], f[rows], g[rows] = step.x, step.f, step.g
            curve.append(f.clone())
            line.advance(values={"objective": float(f.min())})
        return Minimum(x, f, torch.stack(curve))


class _Pairs:
    """Steps s and changes y of the gradient, the newest last; a pair with rho = 0 has no effect."""

    def __init__(self, s: Tensor, y: Tensor, rho: Tensor, scale: Tensor) -> None:
        self.s, self.y, self.rho, self.scale = s, y, rho, scale

    @classmethod
    def empty(cls, memory: int, x: Tensor) -> "_Pairs":
        s = x.new_zeros(memory, *x.shape)
        return cls(s, torch.zeros_like(s), x.new_zeros(memory, len(x)), x.new_ones(len(x)))

    def fresh(self, rows: Tensor) -> Tensor:
        """Which problems remember nothing, `[m]` bool."""
        return (self.rho[:, rows] == 0).all(dim=0)

    def apply(self, gradients: Tensor, rows: Tensor) -> Tensor:
        """The two-loop recursion: the inverse Hessian's estimate times the gradients, `[m, k]`."""
        q = gradients[rows]
        s, y, rho = self.s[:, rows], self.y[:, rows], self.rho[:, rows]
        weights = []
        for one_s, one_y, one_rho in zip(s.flip(0), y.flip(0), rho.flip(0), strict=True):
            weights.append(one_rho * (one_s * q).sum(dim=1))
            q = q - weights[-1][:, None] * one_y
        q = q * self.scale[rows, None]
        for one_s, one_y, one_rho, weight in zip(s, y, rho, reversed(weights), strict=True):
            q = q + (weight - one_rho * (one_y * q).sum(dim=1))[:, None] * one_s
        return q

    def remember(self, rows: Tensor, s: Tensor, y: Tensor, *, moved: Tensor) -> None:
        """Take a pair in, unless the curvature along it is not positive."""
        product = (s * y).sum(dim=1)
        good = moved & (product > 1e-10 * (s.norm(dim=1) * y.norm(dim=1)))
        rows, s, y, product = rows[good], s[good], y[good], product[good]
        for memory, new in ((self.s, s), (self.y, y), (self.rho, 1 / product)):
            memory[:, rows] = torch.cat([memory[1:, rows], new[None]])
        self.scale[rows] = product / y.square().sum(dim=1)

    def forget(self, rows: Tensor) -> None:
        """Start again with the steepest descent."""
        self.rho[:, rows] = 0
        self.scale[rows] = 1


@dataclass(frozen=True)
class _Step:
    """Where each of m problems stands, and whether a sufficient step led there, `[m]` bool."""

    x: Tensor
    f: Tensor
    g: Tensor
    found: Tensor


def _line_search(
    evaluate: Evaluate, rows: Tensor, here: _Step, direction: Tensor, *, box: Box, fresh: Tensor
) -> _Step:
    """For each problem a step with the weak Wolfe conditions; where none is found, the best sufficient one."""
    slope = (here.g * direction).sum(dim=1)
    # Without curvature there is no natural unit: the first step has length one at most.
    t = torch.where(fresh, 1 / direction.norm(dim=1).clamp(min=1), 1.0).to(slope)
    low, high = torch.zeros_like(t), torch.full_like(t, torch.inf)
    best = _Step(here.x.clone(), here.f.clone(), here.g.clone(), here.found.clone())
    left = (slope < 0).nonzero().flatten()
    for _ in range(_TRIALS):
        if not len(left):
            break
        point = box.clamp(here.x[left] + t[left, None] * direction[left])
        value, gradient = evaluate(point, rows[left])
        # A projected step need not follow the direction: what counts is what was travelled.
        promised = (here.g[left] * (point - here.x[left])).sum(dim=1)
        sufficient = value <= here.f[left] + _SUFFICIENT * promised.clamp(max=0)
        inside = (point > box.low) & (point < box.high)
        bent = (gradient * direction[left] * inside).sum(dim=1) >= _CURVATURE * slope[left]
        taken = left[sufficient]
        best.x[taken], best.f[taken], best.g[taken] = (
            point[sufficient],
            value[sufficient],
            gradient[sufficient],
        )
        best.found[taken] = True
        low[taken] = t[taken]
        high[left[~sufficient]] = t[left[~sufficient]]
        t = torch.where(high.isfinite(), (low + high) / 2, 2 * low)
        left = left[~(sufficient & bent)]
    return best
