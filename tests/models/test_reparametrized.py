from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from palimpsest.models.reparametrized import merge_parts


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4))


def transposed() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.ConvTranspose2d(2, 2, 3), nn.Flatten(), nn.Linear(72, 4))


def prune_all(layer: nn.Module) -> None:
    prune.random_unstructured(layer, "weight", 0.4)


FORMS: dict[str, Callable[[Any], Any]] = {
    "pruning": prune_all,
    "weight normalization": parametrizations.weight_norm,
    "weight normalization of all": lambda layer: parametrizations.weight_norm(layer, dim=None),
    "weight normalization of columns": lambda layer: parametrizations.weight_norm(layer, dim=1),
    "spectral normalization": parametrizations.spectral_norm,
    "spectral normalization of old": spectral_norm,
}


@pytest.mark.parametrize("build", [network, transposed])
@pytest.mark.parametrize("form", FORMS)
def test_merged_weights_are_those_of_evaluation_mode(form: str, build: Callable[[], nn.Sequential]) -> None:
    plain, parted = build(), build()
    for layer in (parted[0], parted[-1]):
        FORMS[form](layer)
    for _ in range(5):
        parted(torch.rand(3, 2, 4, 4))  # spectral normalization estimates its vectors in training mode
    state, notes = merge_parts(parted.eval().state_dict(), plain)
    assert notes == [f"merged {form.partition(' of ')[0]} of 2 weights"]
    assert state.keys() == plain.state_dict().keys()
    plain.load_state_dict(state)
    images = torch.rand(5, 2, 4, 4)
    torch.testing.assert_close(plain.eval()(images), parted(images))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weight_normalization_of_old() -> None:
    plain, parted = network(), network()
    weight_norm(parted[0])
    with torch.no_grad():
        parted[0].weight_g.mul_(2)
    state, _ = merge_parts(parted.state_dict(), plain)
    plain.load_state_dict(state)
    images = torch.rand(5, 2, 4, 4)
    torch.testing.assert_close(plain(images), parted(images))


def test_a_network_with_the_parts_takes_them_as_they_are() -> None:
    parted = network()
    prune_all(parted[0])
    state, notes = merge_parts(parted.state_dict(), parted)
    assert notes == []
    assert state.keys() == parted.state_dict().keys()
