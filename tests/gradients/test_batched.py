import pytest
import torch
import torch.nn.functional as F
from tests.support.layer_gradients import CLASSES, assert_batched_equal, noise
from tests.support.shared_rows import RIGHT, SharedRow
from torch import Tensor, nn

from palimpsest.config import ModelConfig
from palimpsest.gradients import BatchGradient
from palimpsest.gradients.batched import BatchedGradients
from palimpsest.models import build_model


@pytest.mark.parametrize("architecture", ["lenet", "convnet", "resnet20"])
def test_equals_vmap_for_all_architectures(architecture: str) -> None:
    width = {} if architecture == "lenet" else {"width": 4}
    assert_batched_equal(
        build_model(ModelConfig(name=architecture, **width), shape=(3, 8, 8), classes=CLASSES, seed=0),
        3,
        8,
        8,
    )


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(4, CLASSES), nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.used(images.flatten(1)).sigmoid()


def test_an_unused_layer_has_a_gradient_of_zero() -> None:
    assert_batched_equal(Unused(), 1, 2, 2)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.middle, self.last = nn.Linear(4, 4), nn.Linear(4, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.middle(self.middle(images.flatten(1)).tanh()).tanh())


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Conv2d(2, 4, 1, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(16, CLASSES)),
        nn.Sequential(nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, CLASSES)),
    ],
)
def test_uses_vmap_for_unsupported_networks(model: nn.Module) -> None:
    assert_batched_equal(model, 2, 2, 2, fast=False)


def test_a_row_for_all_samples_is_expanded() -> None:
    assert_batched_equal(SharedRow(RIGHT["broadcast"]), 1, 2, 2)


def test_sums_over_the_uses_of_a_layer() -> None:
    assert_batched_equal(Twice(), 1, 2, 2)


def test_uses_vmap_for_local_steps_and_float32() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, CLASSES)).double()
    parameters, sample = dict(model.state_dict()), torch.rand(1, 2, 2)
    single_step, two_steps = BatchGradient(model), BatchGradient(model, local_steps=2)
    assert isinstance(single_step.at(parameters, sample.double()), BatchedGradients)
    assert not isinstance(two_steps.at(parameters, sample.double()), BatchedGradients)
    assert not isinstance(single_step.at(parameters, sample), BatchedGradients)


def test_hooks_run_and_the_network_is_unchanged() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, CLASSES)).double()
    model[1].register_forward_hook(lambda _, inputs, outputs: 2 * outputs.tanh())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert_batched_equal(model, 1, 2, 2)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert "forward" not in vars(model[1])
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_equals_the_gradient_of_a_single_batch() -> None:
    model = build_model(ModelConfig(name="lenet"), shape=(1, 8, 8), classes=CLASSES, seed=0).double()
    parameters = {name: value.detach() for name, value in model.state_dict().items()}
    images, targets = noise(1, 4, 1, 8, 8), F.one_hot(torch.arange(4) % CLASSES, CLASSES).double()[None]
    gradient = BatchGradient(model)
    expected = gradient(parameters, images[0], targets[0])
    found = gradient.at(parameters, images[0, 0])(images, targets)[0]
    assert (found - expected).square().sum() / expected.square().sum() < 1e-25
