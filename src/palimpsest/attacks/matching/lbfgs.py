"""L-BFGS within a box for many independent problems at once, each with its own line search."""

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.matching.optimizer import Box, Evaluate, Minimum
from palimpsest.progress import ProgressLine

_SUFFICIENT = 1e-4
_CURVATURE = 0.9
_TRIALS = 12
# A problem that gained less than a hundredth in so many iterations has reached the precision of the number format.
_PATIENCE = 20
_GAIN = 0.01


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS (Nocedal and Wright, Algorithms 7.4 and 7.5).

    The p problems share each evaluation, and so the overhead of the graph. A problem that has converged is no longer
    evaluated. Bisection finds a step with the weak Wolfe conditions (Lewis and Overton 2013, Algorithm 2.6). Unknowns
    at a bound that descent would cross are fixed, and steps are projected onto the box (Bertsekas 1982).

    Args:
        iterations: Maximum number of steps of each problem.
        memory: Number of pairs of steps and gradient changes that approximate the curvature.
        tolerance: A problem has converged when no unknown's gradient is larger.
    """

    iterations: int
    memory: int = 20
    tolerance: float = 1e-9

    def minimize(self, evaluate: Evaluate, start: Tensor, box: Box, line: ProgressLine) -> Minimum:
        """Descend from each start.

        Args:
            evaluate: The objective.
            start: `[p, k]`.
            box: Bounds of the unknowns.
            line: Reports each iteration.

        Returns:
            The last, and best, point of each problem.
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
                active = active & (f < (1 - _GAIN) * history[-1 - _PATIENCE])
            pairs.keep(active[rows])
            rows = rows[active[rows]]
            if len(rows):
                fresh = pairs.fresh
                direction = -pairs.apply(free[rows]).masked_fill_(fixed[rows], 0)
                current = _Step(x[rows], f[rows], g[rows], found=torch.zeros_like(rows, dtype=torch.bool))
                step = _line_search(evaluate, rows, current, direction, box=box, fresh=fresh)
                pairs.remember(step.x - current.x, step.g - current.g, moved=step.found)
                # A search that fails along the steepest descent has reached the precision of the number format.
                active[rows] = step.found | ~fresh
                pairs.forget(~step.found)
                x[rows], f[rows], g[rows] = step.x, step.f, step.g
            history.append(f.clone())
            line.advance(values={"objective": float(f.min())})
        return Minimum(x, f, torch.stack(history))


class _Pairs:
    """Steps s and gradient changes y of m problems, the newest last; a pair with rho = 0 has no effect.

    They take most of the memory and are read twice in each iteration. They are copied only when a problem has ended.

    Args:
        memory: Number of pairs.
        x: The problems' first points, `[m, k]`.
    """

    def __init__(self, memory: int, x: Tensor) -> None:
        self._pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=memory)
        self._scale = x.new_ones(len(x))

    def keep(self, active: Tensor) -> None:
        """Drop all problems that are not active, `[m]` bool."""
        if not active.all():
            kept = [(s[active], y[active], rho[active]) for s, y, rho in self._pairs]
            self._pairs = deque(kept, maxlen=self._pairs.maxlen)
            self._scale = self._scale[active]

    @property
    def fresh(self) -> Tensor:
        """Which problems have no pair, `[m]` bool."""
        fresh = torch.ones_like(self._scale, dtype=torch.bool)
        for _, _, rho in self._pairs:
            fresh &= rho == 0
        return fresh

    def apply(self, gradients: Tensor) -> Tensor:
        """Multiply gradients by the estimate of the inverse Hessian (two-loop recursion), `[m, k]`."""
        q, weights = gradients.clone(), []
        for s, y, rho in reversed(self._pairs):
            weights.append(rho * _dot(s, q))
            q.addcmul_(weights[-1][:, None], y, value=-1)
        q *= self._scale[:, None]
        for s, y, rho in self._pairs:
            q.addcmul_((weights.pop() - rho * _dot(y, q))[:, None], s)
        return q

    def remember(self, s: Tensor, y: Tensor, *, moved: Tensor) -> None:
        """Add a pair, without effect for problems whose curvature along it is not positive."""
        product = _dot(s, y)
        good = moved & (product > 1e-10 * (s.norm(dim=1) * y.norm(dim=1)))
        if not good.all():
            s, y = (vectors.masked_fill(~good[:, None], 0) for vectors in (s, y))
        self._pairs.append((s, y, torch.where(good, 1 / product, 0)))
        self._scale = torch.where(good, product / _dot(y, y), self._scale)

    def forget(self, failed: Tensor) -> None:
        """Restart the failed problems, `[m]` bool, with the steepest descent."""
        for _, _, rho in self._pairs:
            rho.masked_fill_(failed, 0)
        self._scale.masked_fill_(failed, 1)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of rows, `[m]`."""
    return torch.einsum("mk,mk->m", a, b)


@dataclass(frozen=True)
class _Step:
    """Points of m problems, their values and gradients, and whether a sufficient step led there, `[m]` bool."""

    x: Tensor
    f: Tensor
    g: Tensor
    found: Tensor


def _line_search(
    evaluate: Evaluate, rows: Tensor, current: _Step, direction: Tensor, *, box: Box, fresh: Tensor
) -> _Step:
    """For each problem a step with the weak Wolfe conditions; if none is found, the best sufficient one."""
    slope = (current.g * direction).sum(dim=1)
    # Without curvature there is no natural unit: the first step has at most length one.
    t = torch.where(fresh, 1 / direction.norm(dim=1).clamp(min=1), 1.0).to(slope)
    low, high = torch.zeros_like(t), torch.full_like(t, torch.inf)
    best = _Step(current.x.clone(), current.f.clone(), current.g.clone(), current.found.clone())
    left = (slope < 0).nonzero().flatten()
    for _ in range(_TRIALS):
        if not len(left):
            break
        point = box.clamp(current.x[left] + t[left, None] * direction[left])
        value, gradient = evaluate(point, rows[left])
        # A projected step may leave the direction: the decrease is judged along the projected step.
        promised = (current.g[left] * (point - current.x[left])).sum(dim=1)
        sufficient = value <= current.f[left] + _SUFFICIENT * promised.clamp(max=0)
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
