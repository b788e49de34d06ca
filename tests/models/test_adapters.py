import pytest
import torch
from torch import nn

from palimpsest.errors import CheckpointError
from palimpsest.models.adapters import without_adapters
from palimpsest.models.match_names import match_names
from palimpsest.models.state_dicts import StateDict


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("base_model.model.q.lora_A.default.weight", "base_model.model.q.lora_A.weight"),
        ("base_model.model.q.lora_A.weight", "base_model.model.q.lora_A.weight"),
        ("q.lora_embedding_A.client", "q.lora_embedding_A"),
        ("head.modules_to_save.default.bias", "head.bias"),
        ("head.original_module.weight", "head.original_module.weight"),
        ("layers.0.default.weight", "layers.0.default.weight"),
    ],
)
def test_names_are_those_of_peft_files(name: str, plain: str) -> None:
    assert without_adapters(name) == plain


def make(seed: int) -> nn.Module:
    """A frozen layer from a seed, and a trained one that shares no weight with it."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    network[0].requires_grad_(False)
    return network


def test_fills_in_frozen_weights_that_the_factory_repeats() -> None:
    trained = {"1.weight": torch.ones(2, 3), "1.bias": torch.ones(2)}
    matched = match_names([StateDict("", trained)], make(0), twin=make(0))
    assert torch.equal(matched.parameters["0.weight"], make(0)[0].weight)
    assert torch.equal(matched.parameters["1.weight"], torch.ones(2, 3))
    assert matched.stored.keys() == trained.keys()
    assert "2 frozen parameters, such as 0.weight, from the network's factory" in matched.notes[0]


def test_refuses_random_frozen_weights_and_parts_of_them() -> None:
    trained = {"1.weight": torch.ones(2, 3), "1.bias": torch.ones(2)}
    for twin in (make(1), None):
        with pytest.raises(CheckpointError, match="frozen ones anew each time"):
            match_names([StateDict("", trained)], make(0), twin=twin)
    for part in (trained | {"0.weight": torch.ones(3, 3)}, {"1.weight": torch.ones(2, 3)}):
        with pytest.raises(CheckpointError, match="missing"):
            match_names([StateDict("", part)], make(0), twin=make(0))
