import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.config import ModelConfig
from palimpsest.models import LeNet, ResNet20, build_model

CIFAR, DIGITS = (3, 32, 32), (1, 8, 8)


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(["lenet", "convnet", "resnet20"]),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 20), st.integers(1, 20)),
    classes=st.integers(1, 5),
)
def test_accepts_images_of_any_shape(name, shape, classes):
    model = build_model(ModelConfig(name=name), shape=shape, classes=classes, seed=1).eval()
    logits = model(torch.rand(2, *shape))
    assert logits.shape == (2, classes)
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    "classifier", [LeNet(initialization="uniform"), ResNet20(initialization="uniform", width=4)]
)
def test_uniform_initialization_of_every_parameter(classifier):
    for name, parameter in classifier(DIGITS, 10).named_parameters():
        assert parameter.abs().max() <= 0.5, name
        assert parameter.unique().numel() > 1, name
    parameters = torch.cat([parameter.flatten() for parameter in classifier(CIFAR, 10).parameters()])
    assert parameters.std().item() == pytest.approx(12**-0.5, rel=0.02)


def test_default_initialization_is_that_of_the_layers():
    torch.manual_seed(3)
    expected = LeNet().layers(DIGITS, 10).state_dict()
    torch.manual_seed(3)
    actual = LeNet()(DIGITS, 10).state_dict()
    assert all(torch.equal(actual[name], value) for name, value in expected.items())
