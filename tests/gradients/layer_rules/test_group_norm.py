from collections.abc import Callable

import pytest
from tests.support.layer_gradients import CLASSES, assert_batched_equal, assert_equal, both, noise, shaken
from torch import nn

LAYERS: dict[str, Callable[[], list[nn.Module]]] = {
    "images": lambda: [nn.GroupNorm(2, 4)],
    "features": lambda: [nn.Flatten(), nn.GroupNorm(4, 144)],
    "without bias": lambda: [nn.GroupNorm(2, 4, bias=False)],
    "without parameters": lambda: [nn.GroupNorm(2, 4, affine=False)],
}


@pytest.mark.parametrize("name", LAYERS)
def test_per_sample_gradients(name: str) -> None:
    model = nn.Sequential(
        nn.Conv2d(4, 4, 1), *LAYERS[name](), nn.Tanh(), nn.Flatten(), nn.Linear(144, CLASSES)
    )
    assert_equal(*both(shaken(model), noise(5, 4, 6, 6)))


@pytest.mark.parametrize("name", LAYERS)
def test_batched_gradients(name: str) -> None:
    # The in-place activation overwrites the outputs of the layer.
    layers = nn.Conv2d(1, 4, 3), *LAYERS[name](), nn.ELU(inplace=True), nn.Flatten()
    assert_batched_equal(nn.Sequential(*layers, nn.Linear(144, CLASSES)), 1, 8, 8)
