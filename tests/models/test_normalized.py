import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from palimpsest.errors import ConfigurationError
from palimpsest.models import Normalized, bare


def small() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 4))


@given(
    mean=st.lists(st.floats(-2, 2, width=32), min_size=3, max_size=3),
    std=st.lists(st.floats(0.125, 4, width=32), min_size=3, max_size=3),
    seed=st.integers(0, 100),
)
def test_each_channel_is_normalized_before_the_network(
    mean: list[float], std: list[float], seed: int
) -> None:
    network = small()
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    channels = [(images[:, [i]] - mean[i]) / std[i] for i in range(3)]
    torch.testing.assert_close(Normalized(network, mean, std)(images), network(torch.cat(channels, 1)))


def test_one_number_holds_for_all_channels() -> None:
    network, images = small(), torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(Normalized(network, [0.5], [0.25])(images), network(images * 4 - 2))


@pytest.mark.parametrize(("mean", "std"), [([], []), ([0.5], [0.0]), ([0.5], [-1.0]), ([0.1, 0.2], [0.5])])
def test_a_normalization_that_is_not_possible_is_refused(mean: list[float], std: list[float]) -> None:
    with pytest.raises(ConfigurationError, match="give as many of each, and std above 0"):
        Normalized(small(), mean, std)


def test_the_network_can_be_taken_out_again() -> None:
    network = small()
    assert bare(Normalized(network, [0.5], [0.5])) is network
    assert bare(network) is network


def test_a_normalized_model_can_be_stored() -> None:
    assert set(Normalized(small(), [0.5], [0.5]).state_dict()) == {
        "network.1.weight",
        "network.1.bias",
        "mean",
        "std",
    }
