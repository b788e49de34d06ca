"""L-BFGS for many independent problems at once, each with its own line search, within a box."""

from collections import deque
from dataclasses import dataclass

import torch
from torch import Tensor

from palimpsest.attacks.matching.optimizer import Box, Evaluate, Minimum
from palimpsest.progress import ProgressLine

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

    def minimise(self, evaluate: Evaluate, start: Tensor, box: Box, line: ProgressLine) -> Minimum:
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
        pairs = _Pairs(self.memory, x)
        curve = [f.clone()]
        active = f.isfinite()
        for _ in range(self.iterations):
            still = box.blocked(x, g)
            free = g.masked_fill(still, 0)
            active = active & (free.abs().amax(dim=1) > self.tolerance)
            if len(curve) > _PATIENCE:
                active = active & (f < (1 - _GAIN) * curve[-1 - _PATIENCE])
            pairs.keep(active[rows])
            rows = rows[active[rows]]
            if len(rows):
                fresh = pairs.fresh
                direction = -pairs.apply(free[rows]).masked_fill_(still[rows], 0)
                here = _Step(x[rows], f[rows], g[rows], found=torch.zeros_like(rows, dtype=torch.bool))
                step = _line_search(evaluate, rows, here, direction, box=box, fresh=fresh)
                pairs.remember(step.x - here.x, step.g - here.g, moved=step.found)
                # A search that fails along the steepest descent has reached the end of the float's precision.
                active[rows] = step.found | ~fresh
                pairs.forget(~step.found)
                x[rows], f[rows], g[rows] = step.x, step.f, step.g
            curve.append(f.clone())
            line.advance(values={"objective": float(f.min())})
        return Minimum(x, f, torch.stack(curve))


class _Pairs:
    """Steps s and changes y of the gradient of m problems, the newest last; a pair with rho = 0 has no effect.

    They take most of the memory and are read twice in each iteration, so that they are never copied but where a problem
    has ended.

    Args:
        memory: How many pairs are kept.
        x: The problems' first points, `[m, k]`.
    """

    def __init__(self, memory: int, x: Tensor) -> None:
        self._pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=memory)
        self._scale = x.new_ones(len(x))

    def keep(self, some: Tensor) -> None:
        """Go on with some of the problems, `[m]` bool."""
        if not some.all():
            kept = [(s[some], y[some], rho[some]) for s, y, rho in self._pairs]
            self._pairs = deque(kept, maxlen=self._pairs.maxlen)
            self._scale = self._scale[some]

    @property
    def fresh(self) -> Tensor:
        """Which problems remember nothing, `[m]` bool."""
        fresh = torch.ones_like(self._scale, dtype=torch.bool)
        for _, _, rho in self._pairs:
            fresh &= rho == 0
        return fresh

    def apply(self, gradients: Tensor) -> Tensor:
        """The two-loop recursion: the inverse Hessian's estimate times the gradients, `[m, k]`."""
        q, weights = gradients.clone(), []
        for s, y, rho in reversed(self._pairs):
            weights.append(rho * _products(s, q))
            q.addcmul_(weights[-1][:, None], y, value=-1)
        q *= self._scale[:, None]
        for s, y, rho in self._pairs:
            q.addcmul_((weights.pop() - rho * _products(y, q))[:, None], s)
        return q

    def remember(self, s: Tensor, y: Tensor, *, moved: Tensor) -> None:
        """Take a pair in, without effect where the curvature along it is not positive."""
        product = _products(s, y)
        good = moved & (product > 1e-10 * (s.norm(dim=1) * y.norm(dim=1)))
        if not good.all():
            s, y = (one.masked_fill(~good[:, None], 0) for one in (s, y))
        self._pairs.append((s, y, torch.where(good, 1 / product, 0)))
        self._scale = torch.where(good, product / _products(y, y), self._scale)

    def forget(self, some: Tensor) -> None:
        """Start some of the problems again with the steepest descent, `[m]` bool."""
        for _, _, rho in self._pairs:
            rho.masked_fill_(some, 0)
        self._scale.masked_fill_(some, 1)


def _products(a: Tensor, b: Tensor) -> Tensor:
    """The inner products of rows, `[m]`."""
    return torch.einsum("mk,mk->m", a, b)


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
