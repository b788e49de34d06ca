import pytest
import torch
import torch.nn.functional as F
from torch import nn

from palimpsest.gradients import parameter_count
from palimpsest.models import LeNet

CIFAR, MNIST, DIGITS = (3, 32, 32), (1, 28, 28), (1, 8, 8)


@pytest.mark.parametrize(
    ("shape", "classes", "count"), [(CIFAR, 10, 15_826), (CIFAR, 100, 85_036), (MNIST, 10, 13_426)]
)
def test_has_the_published_number_of_parameters(shape, classes, count):
    assert parameter_count(LeNet()(shape, classes)) == count


@pytest.mark.parametrize(
    ("activation", "kind"), [("sigmoid", nn.Sigmoid), ("relu", nn.ReLU), ("tanh", nn.Tanh)]
)
def test_uses_the_configured_activation(activation, kind):
    layers = list(LeNet(activation=activation)(DIGITS, 10))
    assert [isinstance(layer, kind) for layer in layers] == [False, True] * 3 + [False, False]


def test_is_three_convolutions_and_a_linear_layer():
    model = LeNet()(CIFAR, 10)
    weights = list(model.parameters())
    features = images = torch.rand(3, *CIFAR)
    for weight, bias, stride in zip(weights[0:6:2], weights[1:6:2], (2, 2, 1), strict=True):
        features = F.conv2d(features, weight, bias, stride, padding=2).sigmoid()
    assert features.shape == (3, 12, 8, 8)
    torch.testing.assert_close(model(images), features.flatten(1) @ weights[6].T + weights[7])
