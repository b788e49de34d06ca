from functools import partial

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import vmap

from palimpsest.config import ModelConfig
from palimpsest.gradients import BatchGradient
from palimpsest.gradients.batched import BatchedGradients
from palimpsest.models import build_model
from palimpsest.storage import Parameters

CLASSES = 3
BATCHES, SAMPLES = 3, 2


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def parameters_of(model: nn.Module) -> Parameters:
    """Another state dict of the model: all different, and none of its own."""
    return {
        name: 0.3 * noise(*value.shape, seed=place).abs_().add_(0.2) * (-1) ** place
        if name.endswith("running_mean")
        else 0.2 + 0.3 * noise(*value.shape, seed=place).abs_()
        if name.endswith(("running_var", "weight")) and value.dim() == 1
        else 0.4 * noise(*value.shape, seed=place)
        for place, (name, value) in enumerate(model.state_dict().items())
        if value.is_floating_point()
    }


def compare(model: nn.Module, *shape: int, fast: bool = True) -> None:
    """Gradients, and derivatives of a function of them by images and targets, are those of vmap(grad)."""
    model.double().eval()
    parameters = parameters_of(model)
    images, targets = noise(BATCHES, SAMPLES, *shape), noise(BATCHES, SAMPLES, CLASSES, seed=1).softmax(2)
    gradient = BatchGradient(model)
    batched = gradient.at(parameters, images[0, 0])
    assert isinstance(batched, BatchedGradients) == fast
    slow = vmap(partial(gradient, parameters))
    torch.testing.assert_close(batched(images, targets), slow(images, targets), rtol=1e-6, atol=1e-10)

    def derivatives(of: object) -> tuple[Tensor, ...]:
        unknowns = images.clone().requires_grad_(), targets.clone().requires_grad_()
        found = of(*unknowns)  # type: ignore[operator]
        return torch.autograd.grad((found.sin() * noise(*found.shape, seed=2)).sum(), unknowns)

    for found, expected in zip(derivatives(batched), derivatives(slow), strict=True):
        assert float(expected.norm()) > 0
        assert (found - expected).norm() <= 1e-6 * expected.norm()


@pytest.mark.parametrize("architecture", ["lenet", "convnet", "resnet20"])
def test_equal_vmap_for_the_architectures(architecture: str) -> None:
    width = {} if architecture == "lenet" else {"width": 4}
    compare(
        build_model(ModelConfig(name=architecture, **width), shape=(3, 8, 8), classes=CLASSES, seed=0),
        3,
        8,
        8,
    )


PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=40, deadline=None)
@given(
    kernel=PAIRS,
    stride=PAIRS,
    dilation=PAIRS,
    padding=st.one_of(st.just("same"), st.tuples(st.integers(0, 2), st.integers(0, 2))),
    mode=st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
    bias=st.booleans(),
)
def test_equal_vmap_for_any_convolution(
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: str | tuple[int, int],
    mode: str,
    bias: bool,
) -> None:
    # The library warns that it has to copy where an even kernel is padded to the same size.
    assume(padding != "same" or (stride == (1, 1) and kernel[0] % 2 == kernel[1] % 2 == 1))
    sizes = [
        padding if isinstance(padding, str) else padding[side] * 2 + 7 - dilation[side] * (kernel[side] - 1)
        for side in (0, 1)
    ]
    assume(all(isinstance(size, str) or size > 0 for size in sizes))
    layer = nn.Conv2d(
        2,
        3,
        kernel,
        stride=stride,
        dilation=dilation,
        padding=padding,
        padding_mode=mode,
        bias=bias,
        dtype=torch.float64,
    )
    width = layer(torch.zeros(1, 2, 7, 7, dtype=torch.float64)).numel()
    compare(nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.Linear(width, CLASSES, bias=bias)), 2, 7, 7)


@pytest.mark.parametrize(
    "normalisation", [nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.BatchNorm2d(4, affine=False)]
)
def test_equal_vmap_for_normalisations(normalisation: nn.Module) -> None:
    convolution = nn.Conv2d(1, 4, 3)
    # In-place activations overwrite what came out of a layer.
    layers = convolution, normalisation, nn.ELU(inplace=True), nn.AvgPool2d(2), nn.Flatten()
    compare(nn.Sequential(*layers, nn.Linear(4 * 2 * 2, CLASSES)), 1, 7, 7)


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(4, CLASSES), nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        return self.used(images.flatten(1)).sigmoid()


def test_a_layer_that_is_not_used_has_a_gradient_of_zero() -> None:
    compare(Unused(), 1, 2, 2)


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.middle, self.last = nn.Linear(4, 4), nn.Linear(4, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.middle(self.middle(images.flatten(1)).tanh()).tanh())


@pytest.mark.parametrize(
    "model",
    [
        Twice(),
        nn.Sequential(nn.Conv2d(2, 4, 1, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(16, CLASSES)),
        nn.Sequential(nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, CLASSES)),
    ],
)
def test_other_networks_are_left_to_vmap(model: nn.Module) -> None:
    compare(model, 1 if isinstance(model, Twice) else 2, 2, 2, fast=False)


def test_several_local_steps_and_float32_are_left_to_vmap() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, CLASSES)).double()
    parameters, sample = dict(model.state_dict()), torch.rand(1, 2, 2)
    one, several = BatchGradient(model), BatchGradient(model, local_steps=2)
    assert isinstance(one.at(parameters, sample.double()), BatchedGradients)
    assert not isinstance(several.at(parameters, sample.double()), BatchedGradients)
    assert not isinstance(one.at(parameters, sample), BatchedGradients)


def test_hooks_of_the_network_act_and_the_given_network_is_left_alone() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, CLASSES)).double()
    model[1].register_forward_hook(lambda _, inputs, outputs: 2 * outputs.tanh())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    compare(model, 1, 2, 2)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert "forward" not in vars(model[1])
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_explains_a_batch_exactly() -> None:
    model = build_model(ModelConfig(name="lenet"), shape=(1, 8, 8), classes=CLASSES, seed=0).double()
    parameters = {name: value.detach() for name, value in model.state_dict().items()}
    images, targets = noise(1, 4, 1, 8, 8), F.one_hot(torch.arange(4) % CLASSES, CLASSES).double()[None]
    gradient = BatchGradient(model)
    whole = gradient(parameters, images[0], targets[0])
    found = gradient.at(parameters, images[0, 0])(images, targets)[0]
    assert (found - whole).square().sum() / whole.square().sum() < 1e-25
