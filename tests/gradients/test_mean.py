import pytest
import torch
from torch import nn

from palimpsest.errors import ModelError
from palimpsest.gradients import gradient_differences, mean_difference

IMAGES = torch.rand(7, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0])


def network(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 3)
    return nn.Sequential(*layers).double()


@pytest.mark.parametrize("budget", [2**30, 1, 3 * 8 * 69], ids=["one pass", "one by one", "three at a time"])
def test_equals_the_mean_of_the_samples_differences(budget: int) -> None:
    before, after = network(1), network(2)
    slow = gradient_differences(before, after, IMAGES, LABELS).mean(0)
    torch.testing.assert_close(mean_difference(before, after, IMAGES, LABELS, memory_budget=budget), slow)
    assert before.training
    assert all(parameter.grad is None for parameter in before.parameters())


def test_frozen_parameters_are_left_out_and_a_frozen_model_counts_as_trained() -> None:
    before, after = network(1), network(2)
    whole = mean_difference(before, after, IMAGES, LABELS)
    for model in (before, after):
        model[0].requires_grad_(False)
    torch.testing.assert_close(mean_difference(before, after, IMAGES, LABELS), whole[30:])
    for model in (before, after):
        model.requires_grad_(False)
    torch.testing.assert_close(mean_difference(before, after, IMAGES, LABELS), whole)
    assert not any(parameter.requires_grad for parameter in before.parameters())


def test_works_without_gradients_being_recorded() -> None:
    with torch.no_grad():
        assert mean_difference(network(1), network(2), IMAGES, LABELS).norm() > 0


def test_different_architectures_are_refused() -> None:
    with pytest.raises(ModelError, match="The models differ"):
        mean_difference(network(1), nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).double(), IMAGES, LABELS)
