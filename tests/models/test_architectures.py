import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from palimpsest.config import ModelConfig
from palimpsest.gradients import parameter_count
from palimpsest.models import ConvNet, LeNet, ResNet20, build_model

CIFAR, MNIST, DIGITS = (3, 32, 32), (1, 28, 28), (1, 8, 8)


@pytest.mark.parametrize(
    ("classifier", "shape", "classes", "count"),
    [
        (LeNet(), CIFAR, 10, 15_826),
        (LeNet(), CIFAR, 100, 85_036),
        (LeNet(), MNIST, 10, 13_426),
        (ConvNet(), CIFAR, 10, 66_570),
        (ResNet20(), CIFAR, 10, 269_722),
        (ResNet20(), CIFAR, 100, 275_572),
    ],
)
def test_has_the_published_number_of_parameters(classifier, shape, classes, count):
    assert parameter_count(classifier(shape, classes)) == count


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(["lenet", "convnet", "resnet20"]),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 20)),
    classes=st.integers(1, 5),
)
def test_fits_images_of_any_shape(name, shape, classes):
    model = build_model(ModelConfig(name=name), shape=shape, classes=classes, seed=1).eval()
    logits = model(torch.rand(2, *shape))
    assert logits.shape == (2, classes)
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    "classifier", [LeNet(initialisation="uniform"), ResNet20(initialisation="uniform", width=4)]
)
def test_uniform_initialisation_draws_every_parameter_from_half_to_half(classifier):
    for name, parameter in classifier(DIGITS, 10).named_parameters():
        assert parameter.abs().max() <= 0.5, name
        assert parameter.unique().numel() > 1, name
    parameters = torch.cat([parameter.flatten() for parameter in classifier(CIFAR, 10).parameters()])
    assert parameters.std().item() == pytest.approx(12**-0.5, rel=0.02)


@pytest.mark.parametrize(
    ("activation", "kind"), [("sigmoid", nn.Sigmoid), ("relu", nn.ReLU), ("tanh", nn.Tanh)]
)
def test_lenet_uses_the_chosen_activation(activation, kind):
    layers = list(LeNet(activation=activation)(DIGITS, 10))
    assert [isinstance(layer, kind) for layer in layers] == [False, True] * 3 + [False, False]


def test_width_scales_the_channels():
    assert parameter_count(ConvNet(width=8)(DIGITS, 10)) < parameter_count(ConvNet(width=16)(DIGITS, 10))
    assert parameter_count(ResNet20(width=3)(CIFAR, 10)) < parameter_count(ResNet20(width=4)(CIFAR, 10))


def test_convnet_is_three_convolutions_and_a_linear_layer():
    model = ConvNet(width=2)(CIFAR, 10)
    weights = list(model.parameters())
    features = images = torch.rand(3, *CIFAR)
    for weight, bias in zip(weights[0:6:2], weights[1:6:2], strict=True):
        features = F.max_pool2d(F.relu(F.conv2d(features, weight, bias, padding=1)), 2)
    torch.testing.assert_close(model(images), features.flatten(1) @ weights[6].T + weights[7])


def test_shortcut_keeps_every_other_pixel_and_adds_zero_channels_on_both_sides():
    model = ResNet20(width=2)(CIFAR, 10)
    block = next(module for module in model if getattr(module, "stride", 1) == 2)
    with torch.no_grad():
        block.normalisation2.weight.zero_()  # nothing but the shortcut is left
    images = torch.rand(1, 2, 8, 8)
    output = block(images)
    assert output.shape == (1, 4, 4, 4)
    torch.testing.assert_close(output[:, 1:3], images[:, :, ::2, ::2])
    assert output[:, [0, 3]].count_nonzero() == 0
