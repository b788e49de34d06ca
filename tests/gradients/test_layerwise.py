from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from tests.support.layer_gradients import CLASSES, assert_equal, both, noise, shaken
from torch import Tensor, nn

from palimpsest.gradients.layerwise import Layerwise


class Glued(nn.Module):
    """Two layers, put together by a function."""

    def __init__(self, glue: Callable[["Glued", Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, CLASSES)
        self.glue = glue

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.glue(self, images))


def doubled_later(layer: nn.Module, inputs: Tensor) -> Tensor:
    return layer(inputs) + inputs.mul_(2)


READABLE: dict[str, Callable[[Glued, Tensor], Tensor]] = {
    "one after the other": lambda model, x: model.second(model.first(x).tanh()),
    "beside each other": lambda model, x: model.first(x).sin() * model.second(x).cos(),
    "around": lambda model, x: x + model.second(model.first(x).tanh()),
    "one is not used": lambda model, x: model.second(x),
    "overwritten outputs": lambda model, x: model.second(model.first(x).mul_(3).relu_()),
}
UNREADABLE: dict[str, Callable[[Glued, Tensor], Tensor]] = {
    "a layer twice": lambda model, x: model.first(model.first(x).tanh()),
    "a weight elsewhere": lambda model, x: F.linear(model.first(x).tanh(), model.first.weight.T),
    "a weight without its layer": lambda model, x: F.linear(x, model.second.weight),
    "the batch's mean": lambda model, x: model.second(model.first(x) - x.mean(0)),
    "the batch's greatest": lambda model, x: model.second(model.first(x) / x.abs().max().detach()),
    "chance": lambda model, x: F.dropout(model.first(x), 0.5),
    "overwritten inputs": lambda model, x: doubled_later(model.second, model.first(x) + 0),
}


@pytest.mark.parametrize("name", READABLE)
@pytest.mark.parametrize("frozen", [False, True])
def test_graphs_of_layers(name: str, frozen: bool) -> None:
    model = shaken(Glued(READABLE[name])).requires_grad_(not frozen)
    assert_equal(*both(model, noise(4, 6)))
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_layer_by_layer_is_noticed(name: str) -> None:
    assert not Layerwise(shaken(Glued(UNREADABLE[name]))).suits(noise(4, 6))


def test_samples_along_another_dimension_are_noticed() -> None:
    model = Glued(lambda model, x: model.first(torch.stack([x, x + 1])).mean(0))
    # Two samples, two places: their order can't be told by the shape.
    assert not Layerwise(shaken(model)).suits(noise(4, 6))


def test_unknown_layers_and_shared_parameters_are_refused() -> None:
    class Own(nn.Linear):
        """May compute anything."""

    assert not Layerwise(nn.Sequential(Own(6, CLASSES)).eval()).suits(torch.rand(2, 6))
    assert not Layerwise(nn.Sequential(nn.PReLU(), nn.Linear(6, CLASSES)).eval()).suits(torch.rand(2, 6))
    tied = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, CLASSES))
    tied[1].weight = tied[0].weight
    assert not Layerwise(tied.eval()).suits(torch.rand(2, 6))


def test_hooks_of_others_are_heeded_and_ours_removed() -> None:
    model = shaken(Glued(READABLE["one after the other"]))
    handle = model.first.register_forward_hook(lambda _, inputs, outputs: outputs.tanh() * 2)
    assert_equal(*both(model, noise(4, 6)))
    handle.remove()
    assert not any(module._forward_hooks for module in model.modules())


def test_a_pass_that_fails_leaves_no_hooks() -> None:
    model = shaken(Glued(READABLE["around"]))
    assert not Layerwise(model).suits(noise(4, 5))
    assert not any(module._forward_hooks for module in model.modules())
