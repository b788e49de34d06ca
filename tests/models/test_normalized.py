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
def test_normalizes_each_channel(mean: list[float], std: list[float], seed: int) -> None:
    network = small()
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    channels = [(images[:, [i]] - mean[i]) / std[i] for i in range(3)]
    torch.testing.assert_close(Normalized(network, mean, std)(images), network(torch.cat(channels, 1)))


def test_a_single_value_applies_to_all_channels() -> None:
    network, images = small(), torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(Normalized(network, [0.5], [0.25])(images), network(images * 4 - 2))


@pytest.mark.parametrize(("mean", "std"), [([], []), ([0.5], [0.0]), ([0.5], [-1.0]), ([0.1, 0.2], [0.5])])
def test_rejects_invalid_mean_and_std(mean: list[float], std: list[float]) -> None:
    with pytest.raises(ConfigurationError, match="Both need the same number of values"):
        Normalized(small(), mean, std)


def test_bare_returns_the_network() -> None:
    network = small()
    assert bare(Normalized(network, [0.5], [0.5])) is network
    assert bare(network) is network


def test_state_dict_holds_network_mean_and_std() -> None:
    assert set(Normalized(small(), [0.5], [0.5]).state_dict()) == {
        "network.1.weight",
        "network.1.bias",
        "mean",
        "std",
    }
