from typing import Any

import torch
from torch import Tensor

from palimpsest.attacks import Adam, Box

FREE = Box(torch.tensor(-torch.inf), torch.tensor(torch.inf))


def bowls(points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate quadratic bowls; problem r has its minimum at r."""
    offsets = points - rows[:, None]
    return offsets.square().sum(dim=1), 2 * offsets


def test_takes_the_steps_of_torch(line: Any) -> None:
    start = torch.tensor([[1.0, -2.0, 0.5]])
    found = Adam(3, 0.1, decay=1.0).minimize(bowls, start, FREE, line)
    x = start[0].clone().requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        x.square().sum().backward()
        optimizer.step()
    torch.testing.assert_close(found.points[0], x.detach())


def test_each_problem_finds_its_own_minimum(line: Any) -> None:
    for sign in ("none", "hard", "soft"):
        found = Adam(600, 0.1, sign=sign).minimize(bowls, torch.zeros(4, 3), FREE, line)
        torch.testing.assert_close(found.points, torch.arange(4.0)[:, None].expand(-1, 3), atol=0.02, rtol=0)


def test_hard_sign_ignores_the_scale_of_the_gradient(line: Any) -> None:
    def scaled(points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        values, gradients = bowls(points, rows)
        return values, 1000 * gradients

    start = torch.tensor([[3.0, -2.0]])
    unscaled, rescaled = (Adam(20, 0.1, sign="hard").minimize(f, start, FREE, line) for f in (bowls, scaled))
    torch.testing.assert_close(unscaled.points, rescaled.points)


def test_learning_rate_drops_three_times() -> None:
    adam = Adam(80, 1.0, decay=0.1)
    rates = [adam._rate(iteration) for iteration in range(80)]
    assert [rates.index(rate) for rate in sorted(set(rates), reverse=True)] == [0, 30, 50, 70]
    torch.testing.assert_close(rates[-1], 1e-3)


def test_stays_in_the_box_and_returns_the_best_point(line: Any) -> None:
    objectives: list[float] = []

    def recorded(points: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        assert (points >= 0).all()
        assert (points <= 1).all()
        values, gradients = bowls(points, rows + 2)
        # Every third gradient has the wrong sign.
        objectives.append(float(values[0]))
        return values, gradients if len(objectives) % 3 else -gradients

    found = Adam(30, 0.2).minimize(
        recorded, torch.full((1, 2), 0.5), Box(torch.tensor(0.0), torch.tensor(1.0)), line
    )
    assert float(found.values[0]) == min(objectives)
    assert (found.history[1:] <= found.history[:-1]).all()


def test_a_problem_stops_at_its_target(line: Any) -> None:
    start, target = torch.full((3, 2), 5.0), torch.tensor([100.0, 4.0, 0.0])
    found = Adam(40, 0.2).minimize(bowls, start, FREE, line, target=target)
    free = Adam(40, 0.2).minimize(bowls, start, FREE, line)
    assert found.history.shape == (41, 3)
    assert torch.equal(found.points[0], start[0])
    assert 3 < float(found.values[1]) <= 4
    assert torch.equal(found.points[2], free.points[2])
    assert torch.equal(found.history[:, 1].clamp(min=4), free.history[:, 1].clamp(min=4))
