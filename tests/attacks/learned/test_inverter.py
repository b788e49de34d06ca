import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from palimpsest.attacks.learned.inverter import MlpInverter, PixelShuffleInverter
from palimpsest.errors import ConfigurationError


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from([1, 3]), st.sampled_from([4, 8, 14, 28, 32, 33, 64]), st.integers(1, 50), st.booleans()
)
def test_images_of_any_shape_are_in_range(
    channels: int, side: int, features: int, full_size_maps: bool
) -> None:
    network = PixelShuffleInverter(
        features, (channels, side, side), width=64, dropout=0.1, full_size_maps=full_size_maps
    )
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


@pytest.mark.parametrize("side", [8, 32])
def test_the_last_upsampling_can_output_the_image(side: int) -> None:
    """The network has one convolution less, and no convolution at the image's size."""
    network = PixelShuffleInverter(10, (3, side, side), width=64, dropout=0.1, full_size_maps=False)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == round(math.log2(side / 4))
    assert convolutions[-1].out_channels == 4 * 3
    sides = []
    for convolution in convolutions:
        convolution.register_forward_hook(lambda _, inputs, outputs: sides.append(outputs.shape[-1]))
    network(torch.randn(2, 10))
    assert sides == [4 * 2**doubling for doubling in range(len(convolutions))]


def test_rejects_a_width_too_small_for_the_image() -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"attack\.width is 8, which is too small for images of 64 x 64 pixels. Set it to at least 32",
    ):
        PixelShuffleInverter(10, (3, 64, 64), width=8, dropout=0.1)


@pytest.mark.parametrize("side", [2, 4, 7, 8])
def test_images_move_with_their_feature_maps(side: int) -> None:
    """Away from the border, shifting the maps by one cell shifts the image by the pixels of one cell."""
    network = PixelShuffleInverter(
        6 * side * side, (3, 32, 32), width=64, dropout=0.1, maps=(6, side, side)
    ).eval()
    maps = torch.randn(4, 6, side, side, generator=torch.Generator().manual_seed(0))
    images = network(maps.flatten(1))
    assert images.shape == (4, 3, 32, 32)
    if side == 8:
        shifted = network(maps.roll(1, 3).flatten(1))
        torch.testing.assert_close(shifted[..., 16:20], images[..., 12:16], rtol=1e-3, atol=1e-4)


def test_the_image_depends_on_maps_and_other_features() -> None:
    network = PixelShuffleInverter(6 * 16 + 5, (1, 32, 32), width=64, dropout=0.0, maps=(6, 4, 4))
    features = torch.randn(2, 101, requires_grad=True)
    network(features).square().sum().backward()
    assert (features.grad != 0).float().mean() > 0.9


def test_blocks_halve_with_each_upsampling() -> None:
    network = PixelShuffleInverter(10, (3, 32, 32), width=64, dropout=0.1, blocks=4)
    kinds = [type(module).__name__ for module in network.modules()]
    assert kinds.count("_Residual") == 4 + 2 + 1


def test_the_mlp_has_the_layers_of_learning_to_invert() -> None:
    network = MlpInverter(7, (3, 8, 8), hidden=11)
    assert [tuple(module.weight.shape) for module in network.layers[::2]] == [(11, 7), (11, 11), (192, 11)]
    images = network(10 * torch.randn(5, 7))
    assert images.shape == (5, 3, 8, 8)
    assert 0 <= images.min() <= images.max() <= 1
