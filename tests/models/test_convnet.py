import torch
import torch.nn.functional as F

from palimpsest.gradients import parameter_count
from palimpsest.models import ConvNet

CIFAR, DIGITS = (3, 32, 32), (1, 8, 8)


def test_has_the_documented_number_of_parameters():
    assert parameter_count(ConvNet()(CIFAR, 10)) == 66_570


def test_width_scales_the_channels():
    assert parameter_count(ConvNet(width=8)(DIGITS, 10)) < parameter_count(ConvNet(width=16)(DIGITS, 10))


def test_is_three_convolutions_and_a_linear_layer():
    model = ConvNet(width=2)(CIFAR, 10)
    weights = list(model.parameters())
    features = images = torch.rand(3, *CIFAR)
    for weight, bias in zip(weights[0:6:2], weights[1:6:2], strict=True):
        features = F.max_pool2d(F.relu(F.conv2d(features, weight, bias, padding=1)), 2)
    torch.testing.assert_close(model(images), features.flatten(1) @ weights[6].T + weights[7])
