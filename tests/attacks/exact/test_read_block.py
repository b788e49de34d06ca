"""Blocks that are read from layers, and the reasons why others are not."""

import pytest
import torch
from tests.support.exact_cases import SHAPE, exact_case
from torch import nn

from palimpsest.attacks.exact.read_chain import read_chain


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 1)], "overlap"),
        ([nn.Conv2d(2, 2, 3, padding=1), nn.GELU()], "not a convolution"),
        ([nn.Conv2d(2, 2, 3, padding=1, groups=2), nn.ReLU()], "grouped"),
        ([nn.Conv2d(2, 2, 3, padding=1), nn.Sigmoid(), nn.AvgPool2d(2)], "not linear"),
        ([nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.ReLU()], "another activation"),
    ],
)
def test_reasons(layers: list[nn.Module], reason: str) -> None:
    body = nn.Sequential(*layers, nn.Flatten())
    width = body(torch.zeros(1, *SHAPE)).shape[1]
    model = nn.Sequential(*body, nn.Linear(width, 3))
    chain, _ = read_chain(model, model, SHAPE)
    assert reason in chain.limit
    assert chain.blocks == ()


def test_a_frozen_layer_has_no_equations() -> None:
    case = exact_case()
    case.models[0][0].requires_grad_(False)  # type: ignore[index]
    chain, _ = read_chain(*case.models, SHAPE)
    assert "frozen" in chain.limit
    assert chain.dimension == 24 * 3 + 3


def test_names_of_the_layers() -> None:
    (block,) = exact_case().chain.blocks
    assert (block.name, block.kernel, block.padding, block.window) == ("0", (3, 3), (1, 1), (2, 2))
    assert (block.activation, block.pooling) == ("relu", "max")
