from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.errors import ModelError
from palimpsest.models.logits import with_logits

SAMPLES = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))


class Returning(nn.Module):
    def __init__(self, make: Any, classes: int = 4) -> None:
        super().__init__()
        self.fc = nn.Linear(3, classes)
        self.make = make

    def forward(self, inputs: Tensor) -> Any:
        return self.make(self.fc(inputs))


@pytest.mark.parametrize(
    "make", [lambda z: {"loss": None, "logits": z}, lambda z: SimpleNamespace(logits=z, hidden=None)]
)
def test_logits_are_taken_out_of_mappings_and_objects(make: Any) -> None:
    network = Returning(make)
    assert torch.equal(with_logits(network, SAMPLES)(SAMPLES), network.fc(SAMPLES))


def test_a_network_that_returns_logits_stays_itself() -> None:
    network = nn.Linear(3, 2)
    assert with_logits(network, SAMPLES) is network


@pytest.mark.parametrize("make", [lambda z: z, lambda z: z.squeeze(1), lambda z: {"logits": z}])
def test_a_single_logit_has_the_gradients_of_binary_cross_entropy(make: Any) -> None:
    network = Returning(make, classes=1)
    labels = torch.tensor([0, 1, 1, 0, 1])
    weights = list(network.parameters())
    expected = torch.autograd.grad(
        F.binary_cross_entropy_with_logits(network.fc(SAMPLES).squeeze(1), labels.float()), weights
    )
    loss = F.cross_entropy(with_logits(network, SAMPLES)(SAMPLES), labels)
    torch.testing.assert_close(torch.autograd.grad(loss, weights), expected)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda z: (z, z), "returns a tuple, not logits"),
        (lambda z: {"scores": z}, "returns a dict, not logits"),
        (lambda z: z.mean(0), r"returns \(4,\) for 5 samples"),
        (lambda z: z[:, :, None], r"returns \(5, 4, 1\) for 5 samples"),
    ],
)
def test_other_outputs_are_refused(make: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        with_logits(Returning(make), SAMPLES)
