import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.attacks.inverter import PixelShuffleInverter
from palimpsest.errors import ConfigurationError


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([1, 3]), st.sampled_from([4, 8, 14, 28, 32, 33, 64]), st.integers(1, 50))
def test_any_shape_comes_out_in_range(channels: int, side: int, features: int) -> None:
    network = PixelShuffleInverter(features, (channels, side, side), width=64, dropout=0.1)
    images = network(torch.randn(2, features) * 10)
    assert images.shape == (2, channels, side, side)
    assert 0 <= images.min() <= images.max() <= 1


def test_layers_are_those_of_figure_11() -> None:
    network = PixelShuffleInverter(10, (3, 32, 32), width=256, dropout=0.1)
    kinds = [type(module).__name__ for module in network.modules()]
    assert kinds.count("PixelShuffle") == 3
    assert kinds.count("Conv2d") == 4
    assert kinds.count("BatchNorm2d") == 4
    assert kinds.count("Linear") == 1


def test_a_width_too_small_for_the_image_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"attack.width is 8"):
        PixelShuffleInverter(10, (3, 64, 64), width=8, dropout=0.1)
