from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from tests.support.layer_gradients import CLASSES, assert_equal, both, noise, shaken
from torch import Tensor, nn

from palimpsest.gradients.layerwise import Layerwise


class TwoLayers(nn.Module):
    """Two layers that a function combines, and a last layer."""

    def __init__(self, combine: Callable[["TwoLayers", Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, CLASSES)
        self.combine = combine

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.combine(self, images))


def use_then_double(layer: nn.Module, inputs: Tensor) -> Tensor:
    return layer(inputs) + inputs.mul_(2)


SUPPORTED: dict[str, Callable[[TwoLayers, Tensor], Tensor]] = {
    "sequential": lambda model, x: model.second(model.first(x).tanh()),
    "parallel": lambda model, x: model.first(x).sin() * model.second(x).cos(),
    "residual": lambda model, x: x + model.second(model.first(x).tanh()),
    "unused layer": lambda model, x: model.second(x),
    "overwritten outputs": lambda model, x: model.second(model.first(x).mul_(3).relu_()),
    "layer used twice": lambda model, x: model.first(model.first(x).tanh()),
    "unused outputs": lambda model, x: (model.first(x), model.second(x))[1],
}
UNSUPPORTED: dict[str, Callable[[TwoLayers, Tensor], Tensor]] = {
    "weight used elsewhere": lambda model, x: F.linear(model.first(x).tanh(), model.first.weight.T),
    "weight without its layer": lambda model, x: F.linear(x, model.second.weight),
    "batch mean": lambda model, x: model.second(model.first(x) - x.mean(0)),
    "batch maximum": lambda model, x: model.second(model.first(x) / x.abs().max().detach()),
    "branch on values": lambda model, x: model.first(x) if x.sum() > -1e9 else model.second(x),
    "dropout": lambda model, x: F.dropout(model.first(x), 0.5),
    "overwritten inputs": lambda model, x: use_then_double(model.second, model.first(x) + 0),
}


@pytest.mark.parametrize("name", SUPPORTED)
@pytest.mark.parametrize("frozen", [False, True])
def test_supports_graphs_of_layers(name: str, frozen: bool) -> None:
    model = shaken(TwoLayers(SUPPORTED[name])).requires_grad_(not frozen)
    assert_equal(*both(model, noise(4, 6)))
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_rejects_unsupported_graphs(name: str) -> None:
    assert not Layerwise(shaken(TwoLayers(UNSUPPORTED[name]))).supports(noise(4, 6))


def test_rejects_samples_along_another_dimension() -> None:
    model = TwoLayers(lambda model, x: model.first(torch.stack([x, x + 1])).mean(0))
    # With two samples and two positions, the shape does not show which dimension is which.
    assert not Layerwise(shaken(model)).supports(noise(4, 6))


def test_rejects_unknown_layers_and_shared_parameters() -> None:
    class Unregistered(nn.Linear):
        """A subclass, for which no rule is registered."""

    assert not Layerwise(nn.Sequential(Unregistered(6, CLASSES)).eval()).supports(torch.rand(2, 6))
    assert not Layerwise(nn.Sequential(nn.PReLU(), nn.Linear(6, CLASSES)).eval()).supports(torch.rand(2, 6))
    tied = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, CLASSES))
    tied[1].weight = tied[0].weight
    assert not Layerwise(tied.eval()).supports(torch.rand(2, 6))


def test_other_hooks_run_and_its_own_are_removed() -> None:
    model = shaken(TwoLayers(SUPPORTED["sequential"]))
    handle = model.first.register_forward_hook(lambda _, inputs, outputs: outputs.tanh() * 2)
    assert_equal(*both(model, noise(4, 6)))
    handle.remove()
    assert not any(module._forward_hooks for module in model.modules())


def test_a_failed_pass_leaves_no_hooks() -> None:
    model = shaken(TwoLayers(SUPPORTED["residual"]))
    assert not Layerwise(model).supports(noise(4, 5))
    assert not any(module._forward_hooks for module in model.modules())
