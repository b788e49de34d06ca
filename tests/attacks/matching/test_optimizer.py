import torch

from palimpsest.attacks import Box, Minimum


def test_clamp_projects_points_onto_the_box() -> None:
    box = Box(torch.tensor([0.0, -torch.inf]), torch.tensor([1.0, torch.inf]))
    points = torch.tensor([[2.0, 5.0], [-1.0, -5.0], [0.5, 0.0]])
    assert box.clamp(points).tolist() == [[1.0, 5.0], [0.0, -5.0], [0.5, 0.0]]


def test_an_unknown_is_blocked_only_at_a_bound_that_descent_would_cross() -> None:
    box = Box(torch.tensor(0.0), torch.tensor(1.0))
    points = torch.tensor([[0.0, 0.0, 1.0, 1.0, 0.5]])
    gradients = torch.tensor([[1.0, -1.0, 1.0, -1.0, 1.0]])
    assert box.blocked(points, gradients).tolist() == [[True, False, False, True, False]]


def test_best_restart_is_never_a_diverged_one() -> None:
    values = torch.tensor([3.0, 1.0, torch.nan, 5.0])
    minimum = Minimum(torch.arange(8.0).view(4, 2), values, torch.stack([values + 1, values]))
    best = minimum.best(2)
    assert best.values.tolist() == [1.0, 5.0]
    assert best.points.tolist() == [[2.0, 3.0], [6.0, 7.0]]
    assert best.history.tolist() == [[2.0, 6.0], [1.0, 5.0]]
