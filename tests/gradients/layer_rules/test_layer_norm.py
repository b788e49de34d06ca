from collections.abc import Callable

import pytest
from tests.support.layer_gradients import CLASSES, assert_equal, both, noise, shaken
from torch import nn

LAYERS: dict[str, Callable[[], list[nn.Module]]] = {
    "rows and columns": lambda: [nn.LayerNorm([6, 6])],
    "whole samples, without bias": lambda: [nn.LayerNorm([4, 6, 6], bias=False)],
    "features": lambda: [nn.Flatten(), nn.LayerNorm(144)],
}


@pytest.mark.parametrize("name", LAYERS)
def test_per_sample_gradients(name: str) -> None:
    model = nn.Sequential(
        nn.Conv2d(4, 4, 1), *LAYERS[name](), nn.Tanh(), nn.Flatten(), nn.Linear(144, CLASSES)
    )
    assert_equal(*both(shaken(model), noise(5, 4, 6, 6)))
