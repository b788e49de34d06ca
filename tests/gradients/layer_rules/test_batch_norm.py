from collections.abc import Callable

import pytest
from tests.support.layer_gradients import CLASSES, assert_batched_equal, assert_equal, both, noise, shaken
from torch import nn

from palimpsest.gradients.layer_rules import find_batched_rule, find_per_sample_rule

LAYERS: dict[str, Callable[[], list[nn.Module]]] = {
    "images": lambda: [nn.BatchNorm2d(4)],
    "features": lambda: [nn.Flatten(), nn.BatchNorm1d(144)],
    "sequences": lambda: [nn.Flatten(2), nn.BatchNorm1d(4)],
    "without bias": lambda: [nn.BatchNorm2d(4, bias=False)],
    "without parameters": lambda: [nn.BatchNorm2d(4, affine=False)],
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


def test_per_sample_gradients_of_volumes() -> None:
    layers = nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2), nn.Tanh(), nn.Flatten(), nn.Linear(16, CLASSES)
    assert_equal(*both(shaken(nn.Sequential(*layers)), noise(5, 1, 2, 2, 2)))


def test_a_layer_without_running_statistics_has_no_rule() -> None:
    for find in (find_per_sample_rule, find_batched_rule):
        assert find(nn.BatchNorm2d(3)) is not None
        assert find(nn.BatchNorm2d(3, track_running_stats=False)) is None
