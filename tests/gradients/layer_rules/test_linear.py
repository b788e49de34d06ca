import pytest
from tests.support.layer_gradients import CLASSES, assert_batched_equal, assert_equal, both, noise, shaken
from torch import nn


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (5, 7), (2, 3, 7)])
def test_per_sample_gradients(shape: tuple[int, ...], bias: bool) -> None:
    model = nn.Sequential(
        nn.Linear(7, 4, bias=bias), nn.Tanh(), nn.Flatten(), nn.LazyLinear(CLASSES)
    ).double()
    model(noise(1, *shape))
    assert_equal(*both(shaken(model), noise(6, *shape)))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (5, 7)])
def test_batched_gradients(shape: tuple[int, ...], bias: bool) -> None:
    model = nn.Sequential(
        nn.Linear(7, 4, bias=bias), nn.Tanh(), nn.Flatten(), nn.LazyLinear(CLASSES)
    ).double()
    model(noise(1, *shape))
    assert_batched_equal(model, *shape)
