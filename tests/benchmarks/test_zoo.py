import pytest
import torch
from benchmarks.networks import inputs
from benchmarks.zoo import CLASSES, NETWORKS, Network, build

OWN = [network for network in NETWORKS if network.library == "benchmarks"]


# Where torch computes an LSTM with oneDNN, it warns that this one is computed without.
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@pytest.mark.parametrize("network", OWN, ids=lambda network: network.name)
def test_networks_of_torch_alone_classify_tokens(network: Network) -> None:
    model = build(network.name).eval()
    assert model(inputs(network, 3, seed=0)).shape == (3, CLASSES)


def test_the_names_are_distinct() -> None:
    names = [network.name for network in NETWORKS]
    assert len(names) == len(set(names))


def test_the_same_seed_builds_the_same_network() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        states.append(build("RNN").state_dict())
    torch.testing.assert_close(*states)
