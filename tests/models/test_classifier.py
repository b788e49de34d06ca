import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.config import ModelConfig
from palimpsest.errors import ModelError
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


@pytest.mark.parametrize("name", ["lenet", "convnet", "resnet20"])
def test_dropout_precedes_the_last_layer_and_is_off_in_evaluation(name):
    plain, dropping = (
        build_model(ModelConfig(name=name, dropout=p), shape=DIGITS, classes=4, seed=1) for p in (0.0, 0.5)
    )
    assert isinstance(dropping[-2], torch.nn.Dropout)
    assert not any(isinstance(module, torch.nn.Dropout) for module in plain.modules())
    images = torch.rand(3, *DIGITS, generator=torch.Generator().manual_seed(1))
    assert torch.equal(plain.eval()(images), dropping.eval()(images))
    dropping[:-1].train()
    kept = (dropping[:-1](images.expand(3, -1, -1, -1)) != 0).float().mean()
    assert kept < 0.7


def test_dropout_needs_a_last_linear_layer():
    class Pooled(LeNet):
        def layers(self, shape, classes):
            return torch.nn.Sequential(*super().layers(shape, classes), torch.nn.Identity())

    assert Pooled()(DIGITS, 4)
    with pytest.raises(ModelError, match="does not end with a linear layer"):
        Pooled(dropout=0.1)(DIGITS, 4)
