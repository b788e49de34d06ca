from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, rosen, rosen_der
from torch import Tensor

from palimpsest.attacks import LBFGS, Box, Evaluate

FREE = Box(torch.tensor(-torch.inf).double(), torch.tensor(torch.inf).double())


def batched(function: Any) -> Evaluate:
    """Turn a function of one point into an objective of many points, which ignores the rows."""

    def evaluate(points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        assert len(points) == len(rows)
        points = points.detach().requires_grad_()
        values = torch.stack([function(point) for point in points])
        (gradients,) = torch.autograd.grad(values.sum(), points)
        return values.detach(), gradients

    return evaluate


def rosenbrock(x: Tensor) -> Tensor:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def quadratic(size: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return root @ root.T + 0.1 * torch.eye(size), torch.randn(size, generator=generator, dtype=torch.float64)


def starts(count: int, size: int) -> Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_finds_the_minimum_of_a_quadratic(line: Any) -> None:
    matrix, vector = quadratic(12, 0)
    found = LBFGS(200).minimize(batched(lambda x: x @ matrix @ x / 2 - vector @ x), starts(5, 12), FREE, line)
    exact = torch.linalg.solve(matrix, vector)
    torch.testing.assert_close(found.points, exact.expand(5, -1), atol=1e-6, rtol=0)


def test_finds_the_minimum_of_rosenbrock_like_scipy(line: Any) -> None:
    start = starts(4, 6)
    found = LBFGS(500).minimize(batched(rosenbrock), start, FREE, line)
    for point, first in zip(found.points, start, strict=True):
        scipy = minimize(rosen, first.numpy(), jac=rosen_der, method="L-BFGS-B", options={"ftol": 1e-15})
        assert rosenbrock(point) <= scipy.fun + 1e-9
        np.testing.assert_allclose(point.numpy(), scipy.x, atol=1e-3)


def test_needs_about_as_many_evaluations_as_torch(line: Any) -> None:
    start, counts = torch.tensor([[-1.2, 1.0, -1.2, 1.0]], dtype=torch.float64), [0, 0]

    def counted(x: Tensor) -> Tensor:
        counts[0] += 1
        return rosenbrock(x)

    found = LBFGS(200).minimize(batched(counted), start, FREE, line)
    x = start[0].clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [x], max_iter=200, line_search_fn="strong_wolfe", tolerance_grad=1e-9, tolerance_change=0
    )

    def closure() -> Tensor:
        counts[1] += 1
        optimizer.zero_grad()
        value = rosenbrock(x)
        value.backward()
        return value

    optimizer.step(closure)
    assert found.values[0] < 1e-12
    assert counts[0] < 2 * counts[1]


def test_batched_minimization_equals_sequential(line: Any) -> None:
    start = starts(5, 6)
    all_points = LBFGS(60).minimize(batched(rosenbrock), start, FREE, line)
    for row, first in enumerate(start):
        single = LBFGS(60).minimize(batched(rosenbrock), first[None], FREE, line)
        torch.testing.assert_close(all_points.points[row], single.points[0], atol=1e-9, rtol=1e-9)
        torch.testing.assert_close(all_points.history[:, row], single.history[:, 0], atol=1e-9, rtol=1e-9)


def test_finds_the_minimum_in_a_box(line: Any) -> None:
    matrix, vector = quadratic(10, 3)
    low, high = -torch.full((10,), 0.2).double(), torch.full((10,), 0.3).double()
    found = LBFGS(200).minimize(
        batched(lambda x: x @ matrix @ x / 2 - vector @ x), starts(3, 10), Box(low, high), line
    )
    scipy = minimize(
        lambda x: (x @ matrix.numpy() @ x) / 2 - vector.numpy() @ x,
        np.zeros(10),
        jac=lambda x: matrix.numpy() @ x - vector.numpy(),
        bounds=[(-0.2, 0.3)] * 10,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-10},
    )
    assert (found.points >= low).all()
    assert (found.points <= high).all()
    np.testing.assert_allclose(found.values.numpy(), scipy.fun, atol=1e-8)


def test_objective_never_increases(line: Any) -> None:
    history = LBFGS(80).minimize(batched(rosenbrock), starts(4, 8), FREE, line).history
    assert history.shape == (81, 4)
    assert (history[1:] <= history[:-1]).all()


def test_a_nonfinite_start_does_not_affect_the_others(line: Any) -> None:
    start = starts(2, 6)
    start[0] = torch.nan
    found = LBFGS(300).minimize(batched(rosenbrock), start, FREE, line)
    assert found.values[1] < 1e-6
    assert found.best(2).values[0] == found.values[1]


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_stops_evaluating_after_convergence(line: Any, precision: torch.dtype) -> None:
    evaluations = [0]

    def bowl(x: Tensor) -> Tensor:
        evaluations[0] += 1
        return (x - 0.3).square().sum() + 1

    box = Box(FREE.low.to(precision), FREE.high.to(precision))
    LBFGS(500).minimize(batched(bowl), starts(1, 4).to(precision), box, line)
    assert evaluations[0] < 100


def test_a_problem_stops_at_its_target(line: Any) -> None:
    start = starts(3, 6)
    target = torch.tensor([1e9, 5.0, -1.0]).double()
    found = LBFGS(100).minimize(batched(rosenbrock), start, FREE, line, target=target)
    free = LBFGS(100).minimize(batched(rosenbrock), start, FREE, line)
    assert torch.equal(found.points[0], start[0])
    assert float(free.values[1]) + 0.1 < float(found.values[1]) <= 5
    assert torch.equal(found.points[2], free.points[2])


def test_an_absolute_gain_continues_on_a_high_floor(line: Any) -> None:
    def raised(x: Tensor) -> Tensor:
        return rosenbrock(x) + 1e5

    relative, absolute = (
        LBFGS(300, gain=gain).minimize(batched(raised), starts(2, 6), FREE, line) for gain in (None, 1e-3)
    )
    assert float(relative.values.max()) > 1e5 + 0.1
    assert float(absolute.values.max()) < 1e5 + 0.01
