"""No attack reads a layer that the federation does not reveal: with a frozen head or first layer there is none."""

import pytest
import torch
from torch import nn

from palimpsest.attacks.learned.last_linear import find_last_linear
from palimpsest.attacks.matching.label_inference import last_layer
from palimpsest.attacks.matching.linear_layer import _first_layer
from palimpsest.errors import KnowledgeError, ModelError
from palimpsest.gradients import per_sample_gradients


def network(frozen: int) -> nn.Module:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).eval()
    model[frozen].requires_grad_(False)
    return model


def gradients(model: nn.Module) -> torch.Tensor:
    return per_sample_gradients(model, torch.rand(8, 6), torch.randint(3, (8,)))


def test_finds_no_last_linear_layer_if_the_head_is_frozen() -> None:
    found = find_last_linear(gradients(network(0)), 3)
    assert found is not None
    assert found.width == 5
    assert find_last_linear(gradients(network(4)), 3) is None


def test_label_inference_refuses_a_frozen_head() -> None:
    assert last_layer(network(0)).bias.stop == 5 * 7 + 3 * 6
    with pytest.raises(ModelError, match="no trainable last linear layer"):
        last_layer(network(4))


def test_linear_layer_takes_no_later_layer_of_the_same_width() -> None:
    assert _first_layer(network(4), 6) == (slice(0, 36), slice(36, 42))
    with pytest.raises(KnowledgeError, match="no trainable linear layer"):
        _first_layer(network(0), 6)
