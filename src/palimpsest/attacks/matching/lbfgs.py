"""L-BFGS with box constraints for many independent problems at once, each with its own line search."""

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.matching.optimizer import Box, Evaluate, Minimum
from palimpsest.progress import ProgressLine

# Constants of the weak Wolfe conditions.
_SUFFICIENT_DECREASE = 1e-4
_CURVATURE = 0.9
# A problem whose objective fell by less than this share in this number of iterations has reached the precision of the
# floating-point format.
_MIN_GAIN = 0.01
_PATIENCE = 20


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS (Nocedal and Wright, Algorithms 7.4 and 7.5).

    All problems share each evaluation, and thus the overhead of building the autograd graph. A problem that has
    converged is no longer evaluated. Bisection finds a step that satisfies the weak Wolfe conditions (Lewis and Overton
    2013, Algorithm 2.6). Unknowns at a bound that descent would cross are fixed, and steps are projected onto the box
    (Bertsekas 1982).

    Args:
        iterations: Maximum number of steps of each problem.
        memory: Number of pairs of steps and gradient changes that approximate the inverse Hessian.
        tolerance: A problem has converged when no free unknown has a larger gradient.
        gain: A problem has converged when its objective fell by less than this in 20 iterations. If omitted, by less
            than a hundredth of its value.
        trials: Largest number of evaluations of one line search. Each may halve the step; stiff objectives need more.
    """

    iterations: int
    memory: int = 20
    tolerance: float = 1e-9
    gain: float | None = None
    trials: int = 12

    def minimize(
        self, evaluate: Evaluate, start: Tensor, box: Box, line: ProgressLine, *, target: Tensor | None = None
    ) -> Minimum:
        """Minimize from each start.

        Args:
            evaluate: The objective and its gradient.
            start: `[p, k]`, one row for each problem.
            box: Bounds of the unknowns.
            line: Progress line that is advanced after each iteration.
            target: Values of the objective at which the problems stop, `[p]`. If omitted, they stop when they converge.

        Returns:
            The last point of each problem, which is also its best one.
        """
        x = box.clamp(start)
        rows = torch.arange(len(x), device=x.device)
        f, g = evaluate(x, rows)
        pairs = _Pairs(self.memory, x)
        history = [f.clone()]
        active = f.isfinite()
        for _ in range(self.iterations):
            fixed = box.blocked(x, g)
            free = g.masked_fill(fixed, 0)
            active = active & (free.abs().amax(dim=1) > self.tolerance)
            if len(history) > _PATIENCE:
                past = history[-1 - _PATIENCE]
                active = active & (past - f > (_MIN_GAIN * past if self.gain is None else self.gain))
            if target is not None:
                active = active & (f > target)
            pairs.select(active[rows])
            rows = rows[active[rows]]
            if len(rows):
                fresh = pairs.fresh
                direction = -pairs.apply(free[rows]).masked_fill_(fixed[rows], 0)
                current = _Step(x[rows], f[rows], g[rows], found=torch.zeros_like(rows, dtype=torch.bool))
                step = _line_search(
                    evaluate, rows, current, direction, box=box, fresh=fresh, trials=self.trials
                )
                pairs.add(step.x - current.x, step.g - current.g, moved=step.found)
                # A line search that fails along the steepest descent has reached the precision of the number format.
                active[rows] = step.found | ~fresh
                pairs.reset(~step.found)
                x[rows], f[rows], g[rows] = step.x, step.f, step.g
            history.append(f.clone())
            line.advance(values={"objective": float(f.min())})
        return Minimum(x, f, torch.stack(history))


class _Pairs:
    """Pairs of steps s and gradient changes y of m problems, the newest last; a pair with rho = 0 has no effect.

    The pairs take most of the memory and are read twice in each iteration. They are copied only when a problem has
    converged.

    Args:
        memory: Maximum number of pairs.
        x: The starting points of the problems, `[m, k]`.
    """

    def __init__(self, memory: int, x: Tensor) -> None:
        """Start without pairs."""
        self._pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=memory)
        self._scale = x.new_ones(len(x))

    def select(self, active: Tensor) -> None:
        """Keep only the active problems, `[m]` bool."""
        if not active.all():
            pairs = [(s[active], y[active], rho[active]) for s, y, rho in self._pairs]
            self._pairs = deque(pairs, maxlen=self._pairs.maxlen)
            self._scale = self._scale[active]

    @property
    def fresh(self) -> Tensor:
        """Mask of the problems without a pair, `[m]` bool."""
        fresh = torch.ones_like(self._scale, dtype=torch.bool)
        for _, _, rho in self._pairs:
            fresh &= rho == 0
        return fresh

    def apply(self, gradients: Tensor) -> Tensor:
        """Multiply gradients by the approximate inverse Hessian (two-loop recursion), `[m, k]`."""
        q, weights = gradients.clone(), []
        for s, y, rho in reversed(self._pairs):
            weights.append(rho * _dot(s, q))
            q.addcmul_(weights[-1][:, None], y, value=-1)
        q *= self._scale[:, None]
        for s, y, rho in self._pairs:
            q.addcmul_((weights.pop() - rho * _dot(y, q))[:, None], s)
        return q

    def add(self, s: Tensor, y: Tensor, *, moved: Tensor) -> None:
        """Add a pair. It has no effect for problems that did not move or have no positive curvature along the step."""
        curvature = _dot(s, y)
        usable = moved & (curvature > 1e-10 * (s.norm(dim=1) * y.norm(dim=1)))
        if not usable.all():
            s, y = (vectors.masked_fill(~usable[:, None], 0) for vectors in (s, y))
        self._pairs.append((s, y, torch.where(usable, 1 / curvature, 0)))
        self._scale = torch.where(usable, curvature / _dot(y, y), self._scale)

    def reset(self, failed: Tensor) -> None:
        """Discard the pairs of the failed problems, `[m]` bool, so that they restart with the steepest descent."""
        for _, _, rho in self._pairs:
            rho.masked_fill_(failed, 0)
        self._scale.masked_fill_(failed, 1)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Compute the inner products of corresponding rows, `[m]`."""
    return torch.einsum("mk,mk->m", a, b)


@dataclass(frozen=True)
class _Step:
    """Current points of m problems.

    Args:
        x: Points, `[m, k]`.
        f: Values of the objective, `[m]`.
        g: Gradients of the objective, `[m, k]`.
        found: True if a step with sufficient decrease led to the point, `[m]` bool.
    """

    x: Tensor
    f: Tensor
    g: Tensor
    found: Tensor


def _line_search(
    evaluate: Evaluate,
    rows: Tensor,
    current: _Step,
    direction: Tensor,
    *,
    box: Box,
    fresh: Tensor,
    trials: int,
) -> _Step:
    """Find a step for each problem that satisfies the weak Wolfe conditions.

    If there is none, the step is the last one with sufficient decrease; if there is none of these either, the problem
    keeps its point, and `found` is False.
    """
    slope = (current.g * direction).sum(dim=1)
    # Without curvature information there is no natural scale, so the first step has at most length one.
    t = torch.where(fresh, 1 / direction.norm(dim=1).clamp(min=1), 1.0).to(slope)
    low, high = torch.zeros_like(t), torch.full_like(t, torch.inf)
    best = _Step(current.x.clone(), current.f.clone(), current.g.clone(), current.found.clone())
    pending = (slope < 0).nonzero().flatten()
    for _ in range(trials):
        if not len(pending):
            break
        point = box.clamp(current.x[pending] + t[pending, None] * direction[pending])
        value, gradient = evaluate(point, rows[pending])
        # Projection may change the direction of a step, so the predicted decrease is that of the projected step.
        predicted = (current.g[pending] * (point - current.x[pending])).sum(dim=1)
        sufficient = value <= current.f[pending] + _SUFFICIENT_DECREASE * predicted.clamp(max=0)
        inside = (point > box.low) & (point < box.high)
        curvature_met = (gradient * direction[pending] * inside).sum(dim=1) >= _CURVATURE * slope[pending]
        accepted = pending[sufficient]
        best.x[accepted], best.f[accepted], best.g[accepted] = (
            point[sufficient],
            value[sufficient],
            gradient[sufficient],
        )
        best.found[accepted] = True
        low[accepted] = t[accepted]
        high[pending[~sufficient]] = t[pending[~sufficient]]
        t = torch.where(high.isfinite(), (low + high) / 2, 2 * low)
        pending = pending[~(sufficient & curvature_met)]
    return best
