from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.support.attack_views import noise_images, seeded, small_perceptron
from torch import Tensor, nn

from palimpsest.attacks.disaggregation.first_layer import FirstLayer, find_first_layer
from palimpsest.errors import ModelError
from palimpsest.federation import snapshot
from palimpsest.gradients import BatchGradient
from palimpsest.models import Normalized

SHAPE = (1, 6, 6)


def found(network: nn.Module) -> FirstLayer:
    return find_first_layer(network.to("cpu"), snapshot(network), SHAPE, attack="spear")


class Functional(nn.Module):
    """A perceptron whose activation is no module."""

    def __init__(self, activation: Any) -> None:
        super().__init__()
        self.last = nn.Linear(8, 4)
        self.first = nn.Linear(36, 8)
        self.activation = activation

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.activation(self.first(images.flatten(1))))


@pytest.mark.parametrize(
    ("network", "name"),
    [
        (small_perceptron(1), "1"),
        (Normalized(small_perceptron(1), [0.3], [0.2]), "network.1"),
        (Functional(F.relu), "first"),
    ],
)
def test_relates_gradients_to_images(network: nn.Module, name: str) -> None:
    layer, images = found(network), noise_images(2, 1, 3)
    assert layer.name == name
    parameters = snapshot(network)
    weights = layer.weights(parameters)
    outputs = layer.outputs(parameters, images.images)
    inputs = torch.linalg.lstsq(weights[:, :-1], (outputs.double() - weights[:, -1]).T).solution.T
    if layer.units >= 36:
        torch.testing.assert_close(layer.images(inputs), images.images.double(), atol=1e-4, rtol=0)
    targets = F.one_hot(images.labels, 4).float()
    flat = BatchGradient(network)(parameters, images.images, targets)
    each = layer.output_gradients(parameters, images.images, images.labels).double()
    expected = each.T @ (images.images.flatten(1) * layer.scale + layer.offset) / 2
    torch.testing.assert_close(layer.gradient(flat)[:, :-1], expected, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(layer.gradient(flat)[:, -1], each.mean(dim=0), atol=1e-6, rtol=1e-4)
    layer.check_relu(parameters, images.images, images.labels, attack="spear")


@pytest.mark.parametrize("activation", [F.leaky_relu, F.silu, torch.sigmoid])
def test_only_a_relu_passes(activation: Any) -> None:
    network, images = Functional(activation), noise_images(8, 1, 3)
    with pytest.raises(ModelError, match="needs a ReLU after the first linear layer 'first'"):
        found(network).check_relu(snapshot(network), images.images, images.labels, attack="spear")


class Squared(nn.Module):
    """A layer without parameters that changes the pixels."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1).square()


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(64, 4)), "of this one is Conv2d '0'"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(36, 4, bias=False)),
            "Linear '1' of this one has no trainable bias",
        ),
        (nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(9, 4)), "takes something else than scaled"),
        (nn.Sequential(Squared(), nn.Linear(36, 4)), "takes something else than scaled"),
    ],
)
def test_rejects_other_models(network: nn.Module, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        found(network)


def test_does_not_need_a_device_for_the_architecture() -> None:
    network = small_perceptron(1)
    parameters = snapshot(network)
    layer = find_first_layer(network.to("meta"), parameters, SHAPE, attack="spear")
    assert layer.outputs(parameters, torch.rand(2, *SHAPE, generator=seeded())).shape == (2, 120)
