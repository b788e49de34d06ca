import pytest
from tests.support.attack_views import World, linear_view, smooth_images
from torch import Tensor

from palimpsest.attacks import AuditorView


@pytest.fixture
def forgotten() -> Tensor:
    return smooth_images(20, seed=2)


@pytest.fixture
def view(forgotten: Tensor) -> AuditorView:
    return linear_view(forgotten)


@pytest.fixture
def world() -> type[World]:
    return World
